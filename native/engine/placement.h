#pragma once
#include <atomic>
#include <deque>
#include <mutex>

#if defined(__linux__)
#include <sched.h>
#endif

/// The core of a thread of the pool. Keeps such threads on different cores; on systems other than Linux it does
/// nothing.
///
/// Linux wakes a thread on an idle core, if it finds one. In a virtual machine it may find none: it takes a virtual
/// core that the host put to sleep for a busy one (`available_idle_cpu`), and looks no further than the cores that
/// share a cache, which the machine may hide. A helper then wakes on the core of its caller, and the two take turns on
/// it while another core is idle. The kernel balances that after a while, but not within a burst of a few milliseconds.
class Placement {
 public:
  /// Called by the thread itself, whenever it looks for work.
  void arrive();
  /// Called by the thread itself before it sleeps.
  void depart();
  /// Called by the caller of a job, after threads came late. Of threads that are on one core, or on the caller's, all
  /// but one move to cores on which none of them is, if there are any. So do those that should have woken, if
  /// `mayBeWaiting`.
  static void separate(std::deque<Placement>& placements, bool mayBeWaiting);

#if defined(__linux__)
 private:
  class Cores;
  int core() const { return core_.load(std::memory_order_relaxed); }
  enum Where { kSame, kOther };
  /// Lets the thread run on one core only until it arrives: where it was, or a core outside `used`. Returns whether
  /// there is one.
  bool pin(Where where, Cores& used);

  std::atomic<int> thread_{0};         ///< its number in the system; 0 before it has arrived
  std::atomic<int> core_{-1};          ///< where it arrived last
  std::atomic<bool> isAsleep_{true};   ///< whether it has departed since, or not yet arrived
  std::atomic<bool> isPinned_{false};  ///< whether it may use one core only, until it arrives
  std::mutex pinning_;                 ///< held while that changes
  cpu_set_t allowed_;                  ///< the cores that it may use once it arrives
#endif
};
