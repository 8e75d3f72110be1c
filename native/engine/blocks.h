#pragma once
#include <stddef.h>

#include "auto_tune.h"
#include "parallel.h"

// A call that reads and writes fewer bytes does not gain from a second thread, even from one that is awake.
constexpr size_t kMinSharedBytes = 512 * 1024;

/// Cuts `length` items of `bytes` bytes each into blocks of `step`, and calls work(i, begin, blockLength) for each
/// block, on as many threads as pay off. Each instantiation tunes its number of threads separately.
template <class Work>
void forEachBlock(size_t length, size_t step, size_t bytes, Work work) {
  const auto block = [=](size_t i) {
    const size_t begin = i * step, rest = length - begin;
    work(i, begin, rest < step ? rest : step);
  };
  const size_t count = (length + step - 1) / step, maxThreads = parallel::threads();
  if (maxThreads <= 1 || count < 3 || length * bytes < kMinSharedBytes) {
    for (size_t i = 0; i < count; ++i) block(i);
    return;
  }
  static thread_local AutoTune autoTune;
  const size_t threads =
      parallel::always() ? maxThreads : autoTune.choose(maxThreads, 2 * length * bytes / kMinSharedBytes).threads;
  const double start = seconds();
  parallel::forEach(count, threads, block);
  autoTune.record((seconds() - start) / static_cast<double>(length * bytes));
}
