#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../kernel.h"
#include "radix_sort.h"

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
  /// position of the first row number that is not below `limit`, or kAllValid. Without `keepsOrder`, many rows are
  /// gathered in ascending order: an update of rows in the order of memory needs fewer page walks. A sum over rows,
  /// such as a norm, needs the order.
  size_t gather(size_t limit, const KernelSet& set, bool keepsOrder = true);

  /// Upper bound on the temporary memory of `gather`.
  size_t bytesFor(size_t limit) const;
  /// Frees the memory of `gather`.
  void clear() { *this = SparseRows(given_); }

  // The gathered rows, in the order of their first occurrence if `gather` kept it:
  size_t size() const { return size_; }
  size_t row(size_t i) const { return rows_[i].row; }
  float* grad(size_t i) const { return rows_[i].grad; }
  RowList list() const { return list(0, size_); }
  RowList list(size_t begin, size_t count) const {
    return {rows_.data() + begin, count, size_ - begin, given_.rowLength};
  }

  /// Sets all values to 0.
  void zero();

  SparseRows() = default;

 private:
  /// An entry of the hash table. It holds the row itself, so that a look-up reads one cache line.
  struct Mark {
    uint32_t row;
    uint32_t index;  ///< base_ plus the index in rows_; less than base_ if an earlier step left the mark
  };
  explicit SparseRows(const SparseGrad& grad) : given_(grad) {}
  size_t maxRows(size_t limit) const { return given_.count < limit ? given_.count : limit; }
  size_t tableBits(size_t limit) const;
  size_t firstBad(size_t limit) const;
  bool isSorted() const;
  bool isAscending() const;
  void takeAll();
  size_t takeDistinct(size_t limit);
  void addRepeated(size_t repeated, const KernelSet& set);
  size_t findRuns(const PlacedRow* sorted, bool keepsOrder);
  void takeRuns(const PlacedRow* sorted, size_t repeated, const KernelSet& set);

  SparseGrad given_ = {};
  size_t size_ = 0;
  std::vector<uint32_t> names_;    ///< the row numbers, copied
  std::vector<SparseRow> rows_;    ///< at least size_
  std::vector<uint32_t> indices_;  ///< of each name in rows_; or of runs
  std::vector<float> sums_;        ///< of the repeated rows, in their order
  std::vector<Mark> table_;        ///< with linear probing; never cleared
  uint32_t base_ = 1;
  RadixSort sort_;
  std::vector<uint32_t> begins_;  ///< of each run of equal names, once sorted; and the end
};
