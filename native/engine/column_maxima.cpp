#include "column_maxima.h"

#include <string.h>

#include <exception>
#include <thread>

namespace {
// With fewer, the copies would take much of the memory that the kernel saves, and of the time that threads gain.
constexpr size_t kRowsPerCopy = 32;
}  // namespace

ColumnMaxima::ColumnMaxima(size_t rows, size_t columns)
    : columns_(columns), most_(rows < kRowsPerCopy ? 1 : rows / kRowsPerCopy) {
  copies_.push_back(std::make_unique<Copy>(columns));
}

void ColumnMaxima::reserve(size_t threads) {
  const size_t count = threads < most_ ? threads : most_;
  try {
    while (copies_.size() < count) copies_.push_back(std::make_unique<Copy>(columns_));
  } catch (const std::exception&) {
    // The threads share those that there are.
  }
}

ColumnMaxima::Copy& ColumnMaxima::take() {
  for (;;) {
    for (const std::unique_ptr<Copy>& copy : copies_) {
      // Reading first keeps the line of a copy that is lent shared.
      if (copy->isLent_.load(std::memory_order_relaxed)) continue;
      if (copy->isLent_.exchange(true, std::memory_order_acquire)) continue;
      copy->isUsed_ = true;
      return *copy;
    }
    std::this_thread::yield();
  }
}

void ColumnMaxima::adopt(float* state) {
  for (const std::unique_ptr<Copy>& copy : copies_) {
    if (!copy->isUsed_) continue;
    copy->isUsed_ = false;
    float* const numbers = copy->numbers();
    for (size_t i = 0; i < columns_; ++i) {
      const float before = state[i] > 0 ? state[i] : 0;  // no NaN is a maximum
      state[i] = numbers[i] > before ? numbers[i] : before;
    }
    memset(numbers, 0, columns_ * sizeof(float));
  }
}
