// Threads of the pool that share a core move apart, and may use all of their cores again afterwards.
#include "../engine/placement.h"

#include "check.h"

#if defined(__linux__)
#include <atomic>
#include <deque>
#include <thread>
#include <vector>

namespace {
using Cores = std::vector<int>;

Cores coresOf(int thread) {
  cpu_set_t set;
  CHECK_EQUAL(sched_getaffinity(thread, sizeof set, &set), 0);
  Cores cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

/// Lets this thread run on these cores only.
void useCores(const Cores& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(core, &set);
  CHECK_EQUAL(sched_setaffinity(0, sizeof set, &set), 0);
}

/// A thread with a placement, which does what it is told.
class Helper {
 public:
  explicit Helper(Placement& placement) : thread_([this, &placement] { work(placement); }) {}
  ~Helper() {
    tell(kEnd);
    thread_.join();
  }
  /// Arrives while it may use this core only. Then it may use all of `cores`.
  void arriveOn(int core, const Cores& cores) {
    core_ = core;
    cores_ = cores;
    tell(kArriveThere);
  }
  void arrive() { tell(kArrive); }
  void depart() { tell(kDepart); }
  /// The cores that it may use.
  Cores cores() {
    tell(kLook);
    return cores_;
  }

 private:
  enum Order { kNone, kArriveThere, kArrive, kDepart, kLook, kEnd };
  void tell(Order order) {
    order_ = order;
    while (order != kEnd && order_ != kNone) std::this_thread::yield();
  }
  void work(Placement& placement) {
    for (;;) {
      const Order order = order_;
      if (order == kEnd) return;
      if (order == kArriveThere) {
        useCores({core_});
        placement.arrive();
        useCores(cores_);
      }
      if (order == kArrive) placement.arrive();
      if (order == kDepart) placement.depart();
      if (order == kLook) cores_ = coresOf(0);
      if (order == kNone) {
        std::this_thread::yield();
      } else {
        order_ = kNone;
      }
    }
  }

  std::atomic<Order> order_{kNone};
  int core_ = 0;
  Cores cores_;
  std::thread thread_;
};

/// Keeps the calling thread on its first core. Tests of two cores do nothing on a machine with one.
struct OnFirstCore {
  OnFirstCore() { useCores({all[0]}); }
  ~OnFirstCore() { useCores(all); }
  const Cores all = coresOf(0);
  const int here = all[0];
};
}  // namespace

TEST("placement: a thread on the caller's core moves to another, and may use all cores again once it arrives") {
  const OnFirstCore caller;
  if (caller.all.size() < 2) return;
  std::deque<Placement> placements(1);
  Helper helper(placements[0]);
  helper.arriveOn(caller.here, caller.all);
  Placement::separate(placements, false);
  CHECK(helper.cores() == Cores{caller.all[1]});
  // It counts as being there from now on.
  Placement::separate(placements, false);
  CHECK(helper.cores() == Cores{caller.all[1]});
  helper.arrive();
  CHECK(helper.cores() == caller.all);
}

TEST("placement: a thread that should have woken is kept on its own core, where nothing else of the pool runs") {
  const OnFirstCore caller;
  if (caller.all.size() < 2) return;
  std::deque<Placement> placements(1);
  Helper helper(placements[0]);
  helper.arriveOn(caller.all[1], caller.all);
  Placement::separate(placements, true);
  CHECK(helper.cores() == caller.all);  // it is awake
  helper.depart();
  Placement::separate(placements, false);
  CHECK(helper.cores() == caller.all);
  Placement::separate(placements, true);
  CHECK(helper.cores() == Cores{caller.all[1]});
  helper.arrive();
  CHECK(helper.cores() == caller.all);
}

TEST("placement: without a free core, threads stay as they are") {
  const OnFirstCore caller;
  std::deque<Placement> placements(caller.all.size());
  std::deque<Helper> helpers;
  for (size_t i = 0; i < placements.size(); ++i) {
    helpers.emplace_back(placements[i]);
    helpers[i].arriveOn(caller.all[i], caller.all);
  }
  Placement::separate(placements, false);
  for (Helper& helper : helpers) CHECK(helper.cores() == caller.all);
}

TEST("placement: a thread that may use the caller's core only stays there") {
  const OnFirstCore caller;
  std::deque<Placement> placements(1);
  Helper helper(placements[0]);
  helper.arriveOn(caller.here, {caller.here});
  Placement::separate(placements, true);
  helper.arrive();
  CHECK(helper.cores() == Cores{caller.here});
}

TEST("placement: threads that have not started are left alone") {
  const OnFirstCore caller;
  std::deque<Placement> placements(3);
  Placement::separate(placements, true);
  CHECK(coresOf(0) == Cores{caller.here});
}
#endif
