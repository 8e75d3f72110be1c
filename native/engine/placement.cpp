#include "placement.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/// A set of cores. Numbers beyond those of the system are in no set.
class Placement::Cores {
 public:
  Cores() { CPU_ZERO(&set_); }
  bool has(int core) const { return core >= 0 && core < CPU_SETSIZE && CPU_ISSET(core, &set_); }
  void add(int core) {
    if (core >= 0 && core < CPU_SETSIZE) CPU_SET(core, &set_);
  }

 private:
  cpu_set_t set_;
};

void Placement::arrive() {
  if (isPinned_.load(std::memory_order_relaxed)) {
    std::lock_guard<std::mutex> lock(pinning_);
    sched_setaffinity(0, sizeof allowed_, &allowed_);
    isPinned_.store(false, std::memory_order_relaxed);
  }
  core_.store(sched_getcpu(), std::memory_order_relaxed);
  isAsleep_.store(false, std::memory_order_relaxed);
  // Last, so that whoever sees the thread sees its core too.
  if (thread_.load(std::memory_order_relaxed) == 0) {
    thread_.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_release);
  }
}

void Placement::depart() { isAsleep_.store(true, std::memory_order_relaxed); }

void Placement::separate(std::deque<Placement>& placements, bool mayBeWaiting) {
  Cores used, taken;
  const int here = sched_getcpu();
  used.add(here);
  taken.add(here);
  for (const Placement& placement : placements) used.add(placement.core());
  for (Placement& placement : placements) {
    const bool isShared = taken.has(placement.core());
    const bool isWaiting = mayBeWaiting && placement.isAsleep_.load(std::memory_order_relaxed);
    if ((isShared || isWaiting) && !placement.pin(isShared ? kOther : kSame, used)) return;
    taken.add(placement.core());
  }
}

bool Placement::pin(Where where, Cores& used) {
  const int thread = thread_.load(std::memory_order_acquire);
  if (thread == 0) return true;  // it has not arrived yet
  std::lock_guard<std::mutex> lock(pinning_);
  const bool isPinned = isPinned_.load(std::memory_order_relaxed);
  if (!isPinned && sched_getaffinity(thread, sizeof allowed_, &allowed_) != 0) return false;
  int core = where == kSame ? this->core() : 0;
  while (core < CPU_SETSIZE && (!CPU_ISSET(core, &allowed_) || (where == kOther && used.has(core)))) ++core;
  if (core == CPU_SETSIZE) return false;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  if (sched_setaffinity(thread, sizeof one, &one) != 0) return false;
  isPinned_.store(true, std::memory_order_relaxed);
  core_.store(core, std::memory_order_relaxed);
  used.add(core);
  return true;
}
#else
void Placement::arrive() {}
void Placement::depart() {}
void Placement::separate(std::deque<Placement>&, bool) {}
#endif
