#pragma once
#include "../engine/parallel.h"

/// An environment of the thread pool, in which every step uses `threads` threads.
struct Environment {
  explicit Environment(size_t threads) {
    parallel::retain();
    parallel::setThreads(threads, true);
  }
  ~Environment() { parallel::release(); }
};
