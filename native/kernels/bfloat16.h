#pragma once
// State in bfloat16: the upper half of a float32. The loops are in plain C++, which the compiler turns into vectors:
// they are operations on integers, so every instruction set has the same bits.
namespace ISA {
inline void widen(const uint16_t* from, float* to, size_t length) {
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

/// The number is rounded up in magnitude if the 16 bits that are cut off and 16 bits of the hash add to 2^16 or more:
/// with the probability that makes the mean exact. A finite number stays finite. NaN becomes the one quiet NaN.
inline void roundStochastic(const float* from, uint16_t* to, size_t length, uint32_t element, uint32_t seed) {
  constexpr int32_t kInfinity = 0x7f800000, kLargest = 0x7f7fffff, kNaN = 0x7fc00000;
  for (size_t i = 0; i < length; ++i) {
    const uint32_t noise = hashOf((element + static_cast<uint32_t>(i)) * 0x9e3779b1u + seed) >> 16;
    uint32_t bits;
    memcpy(&bits, from + i, sizeof bits);
    const int32_t magnitude = static_cast<int32_t>(bits & 0x7fffffffu);
    const int32_t raised = magnitude + static_cast<int32_t>(magnitude < kInfinity ? noise : 0);
    const int32_t finite = raised < kLargest || magnitude >= kInfinity ? raised : kLargest;
    const uint32_t rounded = static_cast<uint32_t>(finite) | (bits & 0x80000000u);
    to[i] = static_cast<uint16_t>((magnitude > kInfinity ? static_cast<uint32_t>(kNaN) : rounded) >> 16);
  }
}
}  // namespace ISA
