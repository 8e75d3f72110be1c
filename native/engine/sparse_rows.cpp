#include "sparse_rows.h"

#include <string.h>

size_t SparseRows::tableBits(size_t limit) const {
  const size_t maxDistinct = given_.count < limit ? given_.count : limit;
  size_t bits = 4;
  while ((size_t{1} << bits) < 2 * maxDistinct) ++bits;
  return bits;
}

size_t SparseRows::bytesFor(size_t limit) const {
  const size_t rows = given_.count < limit ? given_.count : limit;
  return (sizeof(uint32_t) << tableBits(limit)) + rows * (sizeof(Row) + given_.rowLength * sizeof(float));
}

void SparseRows::clear() {
  rows_ = {};
  sums_ = {};
  table_ = {};
}

size_t SparseRows::gather(size_t limit, const KernelSet& set) {
  rows_.clear();
  sums_.clear();
  const size_t rowLength = given_.rowLength;
  const size_t bits = tableBits(limit);
  table_.assign(size_t{1} << bits, 0);
  const size_t mask = table_.size() - 1;
  for (size_t i = 0; i < given_.count; ++i) {
    const uint32_t row = *const_cast<const volatile uint32_t*>(given_.rows + i);
    if (row >= limit) return i;
    // Fibonacci hashing spreads neighbouring rows, which are common, over the table.
    size_t slot = static_cast<size_t>((row * 0x9e3779b97f4a7c15ULL) >> (64 - bits));
    while (table_[slot] != 0 && rows_[table_[slot] - 1].row != row) slot = (slot + 1) & mask;
    if (table_[slot] == 0) {
      rows_.push_back({row, false, i});
      table_[slot] = static_cast<uint32_t>(rows_.size());
      continue;
    }
    Row& first = rows_[table_[slot] - 1];
    if (!first.isSum) {
      const float* const values = given_.values + first.at * rowLength;
      first.at = sums_.size() / rowLength;
      first.isSum = true;
      sums_.insert(sums_.end(), values, values + rowLength);
    }
    set.add(sums_.data() + first.at * rowLength, given_.values + i * rowLength, rowLength);
  }
  return kAllValid;
}

void SparseRows::zero() {
  if (given_.count > 0) memset(given_.values, 0, given_.count * given_.rowLength * sizeof(float));
}
