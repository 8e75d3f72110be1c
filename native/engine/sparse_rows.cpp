#include "sparse_rows.h"

#include <string.h>

#include <stdexcept>

namespace {
/// As many names are sorted. Fewer are looked up in a hash table, which fits the first-level cache.
constexpr size_t kMinSorted = 2048;

/// Makes room for `count` elements, whose old values are not needed.
template <class T>
void reserve(std::vector<T>& vector, size_t count) {
  if (vector.size() >= count) return;
  vector.clear();
  vector.resize(count);
}
}  // namespace

size_t SparseRows::tableBits(size_t limit) const {
  size_t bits = 4;
  while ((size_t{1} << bits) < 2 * maxRows(limit)) ++bits;
  return bits;
}

size_t SparseRows::bytesFor(size_t limit) const {
  const size_t count = given_.count;
  const size_t forDistinct =
      isSorted() ? RadixSort::bytesFor(count) + (count + 1) * sizeof(uint32_t) : sizeof(Mark) << tableBits(limit);
  return count * (sizeof(uint32_t) + sizeof(uint32_t)) + forDistinct +
         maxRows(limit) * (sizeof(SparseRow) + given_.rowLength * sizeof(float));
}

size_t SparseRows::gather(size_t limit, const KernelSet& set, bool keepsOrder) {
  size_ = 0;
  if (given_.count == 0) return kAllValid;
  reserve(names_, given_.count);
  memcpy(names_.data(), given_.rows, given_.count * sizeof(uint32_t));
  const size_t bad = firstBad(limit);
  if (bad != kAllValid) return bad;
  reserve(rows_, maxRows(limit));
  if (isAscending()) {
    takeAll();
  } else if (isSorted()) {
    const PlacedRow* const sorted = sort_.sort(names_.data(), given_.count, limit);
    takeRuns(sorted, findRuns(sorted, keepsOrder), set);
  } else {
    const size_t repeated = takeDistinct(limit);
    if (repeated > 0) addRepeated(repeated, set);
  }
  return kAllValid;
}

size_t SparseRows::firstBad(size_t limit) const {
  uint32_t largest = 0;
  for (size_t i = 0; i < given_.count; ++i) largest = names_[i] > largest ? names_[i] : largest;
  if (largest < limit) return kAllValid;
  size_t i = 0;
  while (names_[i] < limit) ++i;
  return i;
}

bool SparseRows::isSorted() const { return given_.count >= kMinSorted && given_.count < UINT32_MAX; }

bool SparseRows::isAscending() const {
  for (size_t i = 1; i < given_.count; ++i) {
    if (names_[i] <= names_[i - 1]) return false;
  }
  return true;
}

void SparseRows::takeAll() {
  for (size_t i = 0; i < given_.count; ++i) rows_[i] = {given_.values + i * given_.rowLength, names_[i]};
  size_ = given_.count;
}

/// Finds the distinct rows and the index of each name in them. Gives the rows that are repeated no gradient, and
/// returns their number.
size_t SparseRows::takeDistinct(size_t limit) {
  constexpr size_t kAhead = 16;
  const size_t bits = tableBits(limit), mask = (size_t{1} << bits) - 1, count = given_.count;
  if (maxRows(limit) >= UINT32_MAX) throw std::length_error("too many rows");
  reserve(indices_, count);
  if (table_.size() <= mask) {
    reserve(table_, mask + 1);
    base_ = 1;
  } else if (maxRows(limit) > UINT32_MAX - base_) {
    table_.assign(table_.size(), {0, 0});
    base_ = 1;
  }
  // Fibonacci hashing spreads neighbouring rows, which are common, over the table.
  const auto slotOf = [=](uint32_t row) { return static_cast<size_t>((row * 0x9e3779b97f4a7c15ULL) >> (64 - bits)); };
  Mark* const table = table_.data();
  SparseRow* const rows = rows_.data();
  const uint32_t* const names = names_.data();
  uint32_t* const indices = indices_.data();
  const uint32_t base = base_;
  uint32_t size = 0;
  size_t repeated = 0;
  for (size_t i = 0; i < count; ++i) {
#ifdef __GNUC__
    __builtin_prefetch(table + slotOf(names[i + kAhead < count ? i + kAhead : i]), 1);
#endif
    const uint32_t row = names[i];
    size_t slot = slotOf(row);
    while (table[slot].index >= base && table[slot].row != row) slot = (slot + 1) & mask;
    if (table[slot].index < base) {
      table[slot] = {row, base + size};
      rows[size] = {given_.values + i * given_.rowLength, row};
      indices[i] = size++;
      continue;
    }
    const uint32_t index = indices[i] = table[slot].index - base;
    repeated += rows[index].grad != nullptr;
    rows[index].grad = nullptr;
  }
  base_ += size;
  size_ = size;
  return repeated;
}

void SparseRows::addRepeated(size_t repeated, const KernelSet& set) {
  const size_t length = given_.rowLength;
  reserve(sums_, repeated * length);
  float* sum = sums_.data();
  size_t seen = 0;
  for (size_t i = 0; i < given_.count; ++i) {
    const float* const values = given_.values + i * length;
    SparseRow& row = rows_[indices_[i]];
    if (indices_[i] != seen) {
      set.add(row.grad, values, length);
      continue;
    }
    // The first occurrence: rows are in the order of these.
    ++seen;
    if (row.grad != nullptr) continue;
    row.grad = sum;
    memcpy(sum, values, length * sizeof(float));
    sum += length;
  }
}

/// Finds the runs of equal names. Lists them in indices_, counted from 1: in ascending order, or in the order of their
/// first occurrence. Returns how many have several names. Nothing here depends on a branch that no CPU can predict.
size_t SparseRows::findRuns(const PlacedRow* sorted, bool keepsOrder) {
  const size_t count = given_.count;
  reserve(indices_, count);
  reserve(begins_, count + 1);
  uint32_t* const runs = indices_.data();
  uint32_t* const begins = begins_.data();
  uint32_t run = 0;
  size_t repeated = 0;
  bool isFirst = true;
  for (size_t i = 0; i < count; ++i) {
    const bool wasFirst = isFirst;
    isFirst = i == 0 || sorted[i].row != sorted[i - 1].row;
    repeated += i > 0 && wasFirst && !isFirst;
    run += isFirst;
    begins[run] = static_cast<uint32_t>(i + 1);
    runs[sorted[i].position] = isFirst ? run : 0;
  }
  begins[0] = 0;
  size_ = run;
  if (!keepsOrder) {
    for (uint32_t i = 0; i < run; ++i) runs[i] = i + 1;
    return repeated;
  }
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t found = runs[i];
    runs[size] = found;
    size += found != 0;
  }
  return repeated;
}

/// Takes the rows of the listed runs, and sums those with several names.
void SparseRows::takeRuns(const PlacedRow* sorted, size_t repeated, const KernelSet& set) {
  const size_t length = given_.rowLength;
  reserve(sums_, repeated * length);
  float* sum = sums_.data();
  uint32_t* const runs = indices_.data();
  uint32_t* const positions = names_.data();  // the names are in `sorted` too
  uint32_t named = 0, summed = 0;
  for (size_t n = 0; n < size_; ++n) {
    const uint32_t run = runs[n], begin = begins_[run - 1], end = begins_[run];
    if (end - begin == 1) {
      rows_[n] = {given_.values + sorted[begin].position * length, sorted[begin].row};
      continue;
    }
    rows_[n] = {sum, sorted[begin].row};
    sum += length;
    for (uint32_t i = begin; i < end; ++i) positions[named++] = sorted[i].position;
    runs[summed++] = named;
  }
  set.tables.sums({given_.values, positions, named}, {runs, summed}, length, sums_.data());
}

void SparseRows::zero() {
  if (given_.count > 0) memset(given_.values, 0, given_.count * given_.rowLength * sizeof(float));
}
