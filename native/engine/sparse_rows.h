#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../kernel.h"

/// A sparse gradient in JavaScript's memory: gradients of some rows of a param, in coordinate format.
struct SparseGrad {
  const uint32_t* rows;  ///< row numbers; a row may be repeated
  size_t count;          ///< of row numbers
  float* values;         ///< count * rowLength
  size_t rowLength;
};

/// The distinct rows of a sparse gradient. A repeated row counts once, with the sum of its values in their order.
class SparseRows {
 public:
  static constexpr size_t kAllValid = SIZE_MAX;

  void set(const SparseGrad& grad) { given_ = grad; }
  const SparseGrad& given() const { return given_; }
  size_t rowLength() const { return given_.rowLength; }

  /// Reads each row number once, so that a concurrent write to them cannot lead a step out of bounds. Returns the
  /// position of the first row number that is not below `limit`, or kAllValid.
  size_t gather(size_t limit, const KernelSet& set);

  /// Upper bound on the temporary memory of `gather`.
  size_t bytesFor(size_t limit) const;
  /// Frees the memory of `gather`.
  void clear();

  // The gathered rows, in the order of their first occurrence:
  size_t size() const { return rows_.size(); }
  size_t row(size_t i) const { return rows_[i].row; }
  float* grad(size_t i) {
    const Row& row = rows_[i];
    return (row.isSum ? sums_.data() : given_.values) + row.at * given_.rowLength;
  }

  /// Sets all values to 0.
  void zero();

 private:
  struct Row {
    uint32_t row;
    bool isSum;  ///< the row is repeated
    size_t at;   ///< index of its gradient, in rows of `given_.values`, or of `sums_` if isSum
  };
  size_t tableBits(size_t limit) const;

  SparseGrad given_ = {};
  std::vector<Row> rows_;
  std::vector<float> sums_;
  std::vector<uint32_t> table_;  ///< hash table with linear probing: index into rows_, plus 1; 0 if free
};
