#pragma once
#include <stddef.h>

#include <atomic>
#include <memory>
#include <vector>

/// The next maxima of the columns of a matrix. Each thread of a step raises a copy of its own, from 0 on, and the
/// largest number of all copies is the maximum: whatever thread updates a row, the bits are the same.
class ColumnMaxima {
 public:
  /// One copy. On cache lines of its own, because its thread writes to it all the time.
  class Copy {
   public:
    /// Throws std::bad_alloc or std::length_error.
    explicit Copy(size_t columns) : memory_(new float[columns + 2 * kPadding]()) {}
    float* numbers() const { return memory_.get() + kPadding; }

   private:
    friend class ColumnMaxima;
    static constexpr size_t kPadding = 16;
    std::unique_ptr<float[]> memory_;
    bool isUsed_ = false;  ///< in this step
    alignas(64) std::atomic<bool> isLent_{false};
  };

  /// Throws as Copy does.
  ColumnMaxima(size_t rows, size_t columns);

  /// Before a step: makes copies for as many threads, if there is memory for them and the matrix has enough rows.
  void reserve(size_t threads);

  /// Lends a copy to the calling thread. Waits while all are lent.
  Copy& take();
  void giveBack(Copy& copy) { copy.isLent_.store(false, std::memory_order_release); }

  /// After a step: raises `state` to the maxima. Numbers of `state` that are not above 0 count as 0. Makes the copies
  /// ready for the next step.
  void adopt(float* state);

 private:
  const size_t columns_, most_;
  std::vector<std::unique_ptr<Copy>> copies_;
};
