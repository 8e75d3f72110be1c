#include "column_maxima.h"

#include <string.h>

#include <exception>
#include <utility>

void ColumnMaxima::add() {
  auto copy = std::make_unique<Copy>();
  copy->numbers.reset(new float[columns_]());
  copies_.push_back(std::move(copy));
}

bool ColumnMaxima::reserve(size_t threads) {
  try {
    while (copies_.size() < threads) add();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

float* ColumnMaxima::take() {
  for (size_t i = 0;; i = (i + 1) % copies_.size()) {
    Copy& copy = *copies_[i];
    if (copy.isLent.exchange(true, std::memory_order_acquire)) continue;
    copy.isUsed = true;
    return copy.numbers.get();
  }
}

void ColumnMaxima::giveBack(float* numbers) {
  for (const std::unique_ptr<Copy>& copy : copies_) {
    if (copy->numbers.get() == numbers) copy->isLent.store(false, std::memory_order_release);
  }
}

void ColumnMaxima::adopt(float* state) {
  for (const std::unique_ptr<Copy>& copy : copies_) {
    if (!copy->isUsed) continue;
    copy->isUsed = false;
    float* const numbers = copy->numbers.get();
    for (size_t i = 0; i < columns_; ++i) {
      const float before = state[i] > 0 ? state[i] : 0;  // no NaN is a maximum
      state[i] = numbers[i] > before ? numbers[i] : before;
    }
    memset(numbers, 0, columns_ * sizeof(float));
  }
}
