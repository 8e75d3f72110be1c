#pragma once
#include <stddef.h>

#include <atomic>
#include <memory>
#include <vector>

/// The next maxima of the columns of a matrix. Each thread of a step raises a copy of its own, from 0 on, and the
/// largest number of all copies is the maximum: whatever thread updates a row, the bits are the same.
class ColumnMaxima {
 public:
  /// Throws std::bad_alloc or std::length_error.
  explicit ColumnMaxima(size_t columns) : columns_(columns) { add(); }

  /// Before a step: makes copies for as many threads. Returns false if there is no memory for them.
  bool reserve(size_t threads);

  /// Lends a copy to the calling thread. There must be one for each thread.
  float* take();
  void giveBack(float* copy);

  /// After a step, in which at least one copy was lent: raises `state` to the maxima. What is not above 0 there, counts
  /// as 0. Makes the copies ready for the next step.
  void adopt(float* state);

 private:
  struct Copy {
    std::unique_ptr<float[]> numbers;
    bool isUsed = false;  ///< in this step
    std::atomic<bool> isLent{false};
  };
  void add();

  const size_t columns_;
  std::vector<std::unique_ptr<Copy>> copies_;
};
