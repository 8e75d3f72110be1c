#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "environment.h"
#include "sets.h"

/// A kernel set with one kernel, which records the threads that run it and calls a function of the test inside the
/// step. There can be only one spy at a time.
class Spy {
 public:
  /// `inside` is called before each run of the kernel.
  Spy(const KernelSet& set, const char* name, void (*inside)() = nullptr) : set_(set), inside_(inside) {
    kernel_ = watched_ = *kernelNamed(set, name);
    watched_.run = [](const Pass& pass, const float* constants, const Span& span) {
      current()->enter();
      ++current()->runs_[span.prefetch];
      current()->kernel_.run(pass, constants, span);
    };
    watched_.runSparse = [](const Pass& pass, const float* constants, const Span& table, const RowList& list) {
      current()->enter();
      current()->kernel_.runSparse(pass, constants, table, list);
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
  /// How often `run` of the kernel was called, with prefetches or without.
  size_t runs(bool prefetch) const { return runs_[prefetch]; }
  /// The number of threads that have run the kernel.
  size_t threads() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ids_.size();
  }

 private:
  static Spy*& current() {
    static Spy* spy = nullptr;
    return spy;
  }

  void enter() {
    meet();
    if (inside_ != nullptr) inside_();
  }

  /// The first thread waits up to two seconds for another one. Otherwise it may finish all the work before the others
  /// are awake.
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
  std::atomic<size_t> runs_[2] = {};
};
