#include "placement.h"

#if defined(__linux__)
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

bool Placement::isAllowed() {
  FILE* const status = fopen("/proc/self/status", "re");
  if (status == nullptr) return false;
  char line[256];
  bool isFiltered = false;
  while (fgets(line, sizeof line, status) != nullptr) {
    if (strncmp(line, "Seccomp:", 8) == 0) isFiltered = strchr(line, '2') != nullptr;
  }
  fclose(status);
  return !isFiltered;
}

void Placement::arrive() {
  core_.store(sched_getcpu(), std::memory_order_relaxed);
  isAsleep_.store(false, std::memory_order_relaxed);
  if (thread_.load(std::memory_order_relaxed) == 0) {
    thread_.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
  }
}

void Placement::depart() { isAsleep_.store(true, std::memory_order_relaxed); }

void Placement::separate(std::deque<Placement>& placements, size_t waking) {
  static const bool mayMove = isAllowed();
  const int here = sched_getcpu();
  cpu_set_t others;
  bool isKnown = false;
  if (!mayMove || here < 0 || here >= CPU_SETSIZE) return;
  for (Placement& placement : placements) {
    const int thread = placement.thread_.load(std::memory_order_relaxed);
    const bool isAsleep = placement.isAsleep_.load(std::memory_order_relaxed);
    const bool isHere = !isAsleep && placement.core_.load(std::memory_order_relaxed) == here;
    const bool isWaking = isAsleep && waking > 0 && placement.avoided_ != here;
    if (thread == 0 || !(isHere || isWaking)) continue;
    if (!isKnown) {
      // Not the thread's own cores: some of them may be forbidden for an earlier caller only.
      if (sched_getaffinity(0, sizeof others, &others) != 0) return;
      CPU_CLR(here, &others);
      if (CPU_COUNT(&others) == 0) return;
      isKnown = true;
    }
    if (sched_setaffinity(thread, sizeof others, &others) != 0) return;
    placement.avoided_ = here;
    if (isWaking) --waking;
  }
}
#else
bool Placement::isAllowed() { return false; }
void Placement::arrive() {}
void Placement::depart() {}
void Placement::separate(std::deque<Placement>&, size_t) {}
#endif
