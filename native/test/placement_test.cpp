// Threads of the pool leave the core of their caller.
#include "../engine/placement.h"

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

#include "../engine/parallel.h"
#include "check.h"
#include "environment.h"

namespace {
using Cores = std::vector<int>;

/// The cores that a thread may use; 0 is the calling one.
Cores coresOf(int thread = 0) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(thread, sizeof set, &set);
  Cores cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

void useCores(const Cores& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

/// All cores but one, or all if there is only that.
Cores without(int core, const Cores& all) {
  Cores others;
  for (int other : all) {
    if (other != core) others.push_back(other);
  }
  return others.empty() ? all : others;
}

int threadNumber() { return static_cast<int>(syscall(SYS_gettid)); }

/// A thread that arrives on a core, may use all of `cores` from then on, and sleeps if told so.
class Helper {
 public:
  Helper(Placement& placement, int core, const Cores& cores, bool sleeps)
      : thread_([this, &placement, core, cores, sleeps] {
          useCores({core});
          placement.arrive();
          useCores(cores);
          if (sleeps) placement.depart();
          number_ = threadNumber();
          while (!isEnding_) std::this_thread::sleep_for(std::chrono::microseconds(200));
        }) {
    while (number_ == 0) std::this_thread::yield();
  }
  ~Helper() {
    isEnding_ = true;
    thread_.join();
  }
  Cores cores() const { return coresOf(number_); }

 private:
  std::atomic<int> number_{0};
  std::atomic<bool> isEnding_{false};
  std::thread thread_;
};

/// Runs `scene(here, separate)`, and then the check that it returns. The calling thread is kept on its core until
/// `separate`. If it leaves it during that call, the scene runs again. Returns whether it stayed once.
template <class Scene>
bool onOneCore(const Cores& all, Scene scene) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    const int here = sched_getcpu();
    useCores({here});
    bool hasStayed = true;
    const auto separate = [&](std::deque<Placement>& placements, size_t waking) {
      useCores(all);
      Placement::separate(placements, waking);
      hasStayed = hasStayed && sched_getcpu() == here;
    };
    const auto check = scene(here, separate);
    useCores(all);
    if (hasStayed) {
      check();
      return true;
    }
  }
  return false;
}
}  // namespace

TEST("placement: a thread on the caller's core may use all others from now on") {
  if (!Placement::isAllowed()) return;
  const Cores all = coresOf();
  CHECK(onOneCore(all, [&](int here, auto separate) {
    std::deque<Placement> placements(1);
    const Helper helper(placements[0], here, all, false);
    separate(placements, 0);
    const Cores cores = helper.cores();
    return [=] { CHECK(cores == without(here, all)); };
  }));
}

TEST("placement: a thread that is awake on another core is left alone") {
  const Cores all = coresOf();
  CHECK(onOneCore(all, [&](int here, auto separate) {
    std::deque<Placement> placements(1);
    const Helper helper(placements[0], without(here, all)[0], all, false);
    separate(placements, 1);
    const Cores cores = helper.cores();
    return [=] { CHECK(all.size() == 1 || cores == all); };
  }));
}

TEST("placement: of sleeping threads, as many as should wake leave, and each once") {
  if (!Placement::isAllowed()) return;
  const Cores all = coresOf();
  CHECK(onOneCore(all, [&](int here, auto separate) {
    std::deque<Placement> placements(2);
    const Helper a(placements[0], here, all, true), b(placements[1], here, all, true);
    std::vector<Cores> seen;
    for (size_t waking : {0, 1, 1, 2}) {
      separate(placements, waking);
      seen.push_back(a.cores());
      seen.push_back(b.cores());
    }
    return [=] {
      const Cores others = without(here, all);
      CHECK(seen == (std::vector<Cores>{all, all, others, all, others, others, others, others}));
    };
  }));
}

TEST("placement: the cores are those of the caller, and one core is none to leave") {
  const Cores all = coresOf();
  std::deque<Placement> placements(1);
  const Helper helper(placements[0], all[0], all, false);
  useCores({all[0]});
  Placement::separate(placements, 1);
  CHECK(helper.cores() == all);
  useCores(all);
}

TEST("placement: threads that have not started are left alone") {
  const Cores all = coresOf();
  std::deque<Placement> placements(3);
  Placement::separate(placements, 3);
  CHECK(coresOf() == all);
}

TEST("placement: nothing moves where a filter of system calls may end the process") {
  enum Answer { kRefused, kAllowed, kNoFilter };
  const pid_t child = fork();
  if (child == 0) {
    sock_filter deadly[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter = {sizeof deadly / sizeof deadly[0], deadly};
    const bool isFiltered =
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
    _exit(!isFiltered ? kNoFilter : Placement::isAllowed() ? kAllowed : kRefused);
  }
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) != kAllowed);
}

TEST("placement: a helper of the pool that is kept on the caller's core leaves it") {
  const Cores all = coresOf();
  if (!Placement::isAllowed() || all.size() < 2) return;
  const Environment environment(2);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> helper{0};
  const auto work = [&](size_t) {
    if (std::this_thread::get_id() != caller) helper = threadNumber();
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    while (std::chrono::steady_clock::now() < until) {
    }
  };
  const auto isFound = [&](auto found) {
    for (int round = 0; round < 500; ++round) {
      parallel::forEach(20, 2, work);
      if (found()) return true;
    }
    return false;
  };
  CHECK(isFound([&] { return helper != 0; }));
  // From here on only one core is left to the helper, that of its caller, until the pool takes it away.
  const auto isAway = [&] {
    const int here = sched_getcpu();
    const Cores cores = coresOf(helper);
    return std::find(cores.begin(), cores.end(), here) == cores.end();
  };
  CHECK(isFound([&] {
    if (isAway()) return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(helper, sizeof set, &set);
    for (int i = 0; i < 3; ++i) parallel::forEach(20, 2, work);
    return isAway();
  }));
}
#endif
