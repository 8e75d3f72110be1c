#include "sparse_rows.h"

#include <string.h>

size_t SparseRows::gather(size_t limit, const KernelSet& set) {
  rows_.clear();
  sums_.clear();
  // However often they are named, there are no more rows than the param has.
  const size_t most = count_ < limit ? count_ : limit;
  size_t bits = 4;
  while ((size_t{1} << bits) < 2 * most) ++bits;
  table_.assign(size_t{1} << bits, 0);
  const size_t mask = table_.size() - 1;
  for (size_t i = 0; i < count_; ++i) {
    const uint32_t row = *const_cast<const volatile uint32_t*>(given_ + i);
    if (row >= limit) return i;
    // Fibonacci hashing: neighbouring rows, which are common, spread over the table.
    size_t slot = static_cast<size_t>((row * 0x9e3779b97f4a7c15ULL) >> (64 - bits));
    while (table_[slot] != 0 && rows_[table_[slot] - 1].row != row) slot = (slot + 1) & mask;
    const float* values = values_ + i * rowLength_;
    if (table_[slot] == 0) {
      rows_.push_back({row, false, i});
      table_[slot] = static_cast<uint32_t>(rows_.size());
      continue;
    }
    Row& first = rows_[table_[slot] - 1];
    if (!first.isSum) {
      const float* values = values_ + first.at * rowLength_;
      first.at = sums_.size() / rowLength_;
      first.isSum = true;
      sums_.insert(sums_.end(), values, values + rowLength_);
    }
    set.add(sums_.data() + first.at * rowLength_, values, rowLength_);
  }
  return kAllValid;
}

void SparseRows::zero() {
  if (count_ > 0) memset(values_, 0, count_ * rowLength_ * sizeof(float));
}
