#include "radix_sort.h"

namespace {
/// A pass that sorts by more bits writes to more places than the first-level cache has lines.
constexpr size_t kMaxDigitBits = 11;
constexpr size_t kMaxPasses = 3;

/// How 32-bit row numbers are cut into digits.
struct Digits {
  explicit Digits(size_t limit) {
    size_t rowBits = 1;
    while (rowBits < 32 && (size_t{1} << rowBits) < limit) ++rowBits;
    passes = (rowBits + kMaxDigitBits - 1) / kMaxDigitBits;
    bits = (rowBits + passes - 1) / passes;
  }
  size_t of(uint32_t row, size_t pass) const { return (row >> (pass * bits)) & ((1u << bits) - 1); }

  size_t passes, bits;
};
}  // namespace

const PlacedRow* RadixSort::sort(const uint32_t* rows, size_t count, size_t limit) {
  if (to_.size() < count) {
    from_.resize(count);
    to_.resize(count);
  }
  const Digits digits(limit);
  // How many row numbers have each digit, in each pass; then the place of the next one with this digit.
  uint32_t places[kMaxPasses][size_t{1} << kMaxDigitBits] = {};
  for (size_t i = 0; i < count; ++i) {
    for (size_t pass = 0; pass < digits.passes; ++pass) ++places[pass][digits.of(rows[i], pass)];
  }
  for (size_t pass = 0; pass < digits.passes; ++pass) {
    uint32_t* const place = places[pass];
    uint32_t sum = 0;
    for (size_t digit = 0; digit < size_t{1} << digits.bits; ++digit) {
      const uint32_t number = place[digit];
      place[digit] = sum;
      sum += number;
    }
    PlacedRow* const to = to_.data();
    if (pass == 0) {
      for (size_t i = 0; i < count; ++i) to[place[digits.of(rows[i], 0)]++] = {rows[i], static_cast<uint32_t>(i)};
    } else {
      const PlacedRow* const from = from_.data();
      for (size_t i = 0; i < count; ++i) to[place[digits.of(from[i].row, pass)]++] = from[i];
    }
    from_.swap(to_);
  }
  return from_.data();
}
