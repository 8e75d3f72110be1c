#pragma once
// State in bfloat16: the upper half of a float32. The loops are in plain C++, which the compiler turns into vectors:
// they are operations on integers, so every instruction set has the same bits. Pointers are `__restrict`, and no loop
// does two things, because GCC 12 leaves it scalar otherwise.
namespace ISA {
inline void widen(const uint16_t* __restrict from, float* __restrict to, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    memcpy(to + i, &bits, sizeof bits);
  }
}

/// The finisher of MurmurHash3: each bit of the result depends on all bits of x.
ALWAYS_INLINE uint32_t hashOf(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

inline void hashElements(uint32_t* __restrict to, size_t length, uint32_t element, uint32_t seed) {
  for (size_t i = 0; i < length; ++i) to[i] = hashOf((element + static_cast<uint32_t>(i)) * 0x9e3779b1u + seed);
}

/// The bits of a float without its sign.
ALWAYS_INLINE int32_t magnitudeOf(const float* x) {
  int32_t bits;
  memcpy(&bits, x, sizeof bits);
  return bits & 0x7fffffff;
}

/// Whether the carry of no number reaches infinity or the sign.
inline bool isBelowLargest(const float* x, size_t length) {
  int32_t most = 0;
  for (size_t i = 0; i < length; ++i) {
    const int32_t magnitude = magnitudeOf(x + i);
    most = most > magnitude ? most : magnitude;
  }
  return most < 0x7f7f0000;
}

/// A finite number stays finite. NaN becomes the one quiet NaN.
inline uint16_t roundAny(const float* from, uint32_t noise) {
  constexpr int32_t kInfinity = 0x7f800000, kLargest = 0x7f7fffff;
  const int32_t magnitude = magnitudeOf(from);
  if (magnitude > kInfinity) return 0x7fc0;
  const int32_t sum = magnitude + static_cast<int32_t>(noise);
  const int32_t rounded = magnitude == kInfinity ? kInfinity : sum < kLargest ? sum : kLargest;
  uint32_t bits;
  memcpy(&bits, from, sizeof bits);
  return static_cast<uint16_t>((static_cast<uint32_t>(rounded) | (bits & 0x80000000u)) >> 16);
}

template <int kShift>
inline void roundBy(const float* __restrict from, const uint32_t* __restrict hashes, uint16_t* __restrict to,
                    size_t length) {
  for (size_t i = 0; i < length; ++i) {
    uint32_t bits;
    memcpy(&bits, from + i, sizeof bits);
    to[i] = static_cast<uint16_t>((bits + (hashes[i] >> kShift & 0xffffu)) >> 16);
  }
}

/// The magnitude is rounded up if the 16 bits that are cut off and 16 bits of the hash add to 2^16 or more: with the
/// probability that makes the mean exact.
inline void roundStochastic(const float* from, const uint32_t* hashes, bool isUpper, uint16_t* to, size_t length) {
  if (isBelowLargest(from, length)) {
    isUpper ? roundBy<16>(from, hashes, to, length) : roundBy<0>(from, hashes, to, length);
  } else {
    for (size_t i = 0; i < length; ++i) to[i] = roundAny(from + i, isUpper ? hashes[i] >> 16 : hashes[i] & 0xffff);
  }
}
}  // namespace ISA
