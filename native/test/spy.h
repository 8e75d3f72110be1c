#pragma once
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "../engine/parallel.h"
#include "sets.h"

/// Counts a test in as an environment of the pool, with so many threads.
struct Environment {
  explicit Environment(size_t threads) {
    parallel::retain();
    parallel::setThreads(threads, true);
  }
  ~Environment() { parallel::release(); }
};

/// Stands between a plan and one kernel of a set: on which threads it runs, and whatever a test wants to see from
/// inside a step. One at a time.
class Spy {
 public:
  /// `inside` is called in each run of the kernel, before it.
  Spy(const KernelSet& set, const char* name, void (*inside)() = nullptr) : set_(set), inside_(inside) {
    kernel_ = watched_ = *kernelNamed(set, name);
    watched_.run = [](const Pass& pass, const float* constants, const Span& span) {
      current()->meet();
      if (current()->inside_ != nullptr) current()->inside_();
      current()->kernel_.run(pass, constants, span);
    };
    set_.kernels = &watched_;
    set_.count = 1;
    current() = this;
  }
  ~Spy() { current() = nullptr; }
  Spy(const Spy&) = delete;
  Spy& operator=(const Spy&) = delete;

  const KernelSet& set() const { return set_; }
  const Kernel* kernel() const { return &watched_; }
  /// How many threads have run the kernel.
  size_t threads() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ids_.size();
  }

 private:
  static Spy*& current() {
    static Spy* spy = nullptr;
    return spy;
  }

  /// The first thread waits a while for a second: else it may have done all the work before the others are awake.
  void meet() {
    std::unique_lock<std::mutex> lock(mutex_);
    ids_.insert(std::this_thread::get_id());
    arrived_.notify_all();
    if (parallel::threads() < 2 || hasWaited_) return;
    hasWaited_ = true;
    arrived_.wait_for(lock, std::chrono::seconds(2), [this] { return ids_.size() > 1; });
  }

  KernelSet set_;
  Kernel kernel_, watched_;
  void (*inside_)();
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::set<std::thread::id> ids_;
  bool hasWaited_ = false;
};
