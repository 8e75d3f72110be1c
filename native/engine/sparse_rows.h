#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../kernel.h"

/// The gradient of some rows of a param, as `rows` and their `values`. A row named twice is one, with the sum of its
/// values in the order given.
class SparseRows {
 public:
  static constexpr size_t kAllValid = SIZE_MAX;

  void set(const uint32_t* rows, size_t count, float* values, size_t rowLength) {
    given_ = rows;
    count_ = count;
    values_ = values;
    rowLength_ = rowLength;
  }

  /// Reads the rows, once: whoever writes to them meanwhile can't lead a step out of its memory. Returns the position
  /// of the first that is not below `limit`, or kAllValid.
  size_t gather(size_t limit, const KernelSet& set);

  // Of what was gathered, in the order in which rows are first named:
  size_t size() const { return rows_.size(); }
  size_t row(size_t i) const { return rows_[i].row; }
  float* grad(size_t i) {
    const Row& row = rows_[i];
    return (row.isSum ? sums_.data() : values_) + row.at * rowLength_;
  }

  size_t rowLength() const { return rowLength_; }
  const uint32_t* given() const { return given_; }
  float* values() const { return values_; }
  void zero();

 private:
  struct Row {
    uint32_t row;
    bool isSum;  ///< named twice
    size_t at;   ///< where its gradient is in `values_` or `sums_`, in rows
  };
  const uint32_t* given_ = nullptr;
  size_t count_ = 0;
  float* values_ = nullptr;
  size_t rowLength_ = 0;
  std::vector<Row> rows_;
  std::vector<float> sums_;
  std::vector<uint32_t> table_;  ///< a hash table of indices into rows_, plus 1; 0: free
};
