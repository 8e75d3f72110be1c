#pragma once
#include <stddef.h>

#include <atomic>
#include <deque>

/// The core of a thread of the pool. Keeps it off the core of its caller; on systems other than Linux it does nothing.
///
/// Linux wakes a thread on an idle core, if it finds one. In a virtual machine it may find none: a virtual core that
/// sleeps, and that the host has put off its core, does not count (`available_idle_cpu`), and Linux looks only at cores
/// that share a cache, which the machine may hide. A helper then wakes on the core of its caller, and the two take
/// turns while another core is idle. The kernel balances that after a while, but not within a burst of some
/// milliseconds.
class Placement {
 public:
  /// Whether threads may move: not under a filter of system calls (seccomp), which may end the process for it. Those of
  /// containers return an error, but nothing tells them from others.
  static bool isAllowed();
  /// The thread itself calls this when it looks for work.
  void arrive();
  /// The thread itself calls this before it sleeps.
  void depart();
  /// The caller of a job calls this when helpers come late. Helpers that arrived on its core may from now on use all
  /// cores of the caller but that one. So may up to `waking` sleeping ones, because nobody sees where they wait.
  static void separate(std::deque<Placement>& placements, size_t waking);

#if defined(__linux__)
 private:
  std::atomic<int> thread_{0};        ///< its number in the system; 0 before it has arrived
  std::atomic<int> core_{-1};         ///< where it arrived last
  std::atomic<bool> isAsleep_{true};  ///< false from `arrive` to `depart`
  int avoided_ = -1;                  ///< the core that it may not use; for callers, one at a time
#endif
};
