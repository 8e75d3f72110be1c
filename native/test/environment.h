#pragma once
#include "../engine/parallel.h"

/// An environment of the thread pool, in which every step uses `threads` threads, or at most so many.
struct Environment {
  explicit Environment(size_t threads, bool always = true) {
    parallel::retain();
    parallel::setThreads(threads, always);
  }
  ~Environment() { parallel::release(); }
};
