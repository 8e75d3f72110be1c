#pragma once
// Conversions between float32 and bfloat16: the upper 16 bits of a float32. They work on single numbers; the
// compiler makes vectors of the loops.
namespace ISA {
inline uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float floatOf(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// All ones if true. A choice by masks has no branch, which would keep a loop from becoming vectors.
inline uint32_t maskOf(bool condition) { return 0 - static_cast<uint32_t>(condition); }

/// y = x + factor * residual; rounded = y as bfloat16, to nearest, ties to even; rest = y - rounded, or 0 where rounded
/// is not finite. NaN has one form. lib/engine/bfloat16.ts has the same in JavaScript.
inline void compress(const float* x, const float* residual, float factor, uint16_t* rounded, float* rest,
                     size_t length) {
  for (size_t i = 0; i < length; ++i) {
    const float y = x[i] + factor * residual[i];
    const uint32_t bits = bitsOf(y);
    const uint32_t isNaN = maskOf((bits & 0x7fffffff) > 0x7f800000);
    const uint32_t near = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const uint32_t half = (near & ~isNaN) | (0x7fc0 & isNaN);
    const uint32_t isFinite = maskOf((half & 0x7f80) != 0x7f80);
    rounded[i] = static_cast<uint16_t>(half);
    rest[i] = floatOf(bitsOf(y - floatOf(half << 16)) & isFinite);
  }
}

inline void widen(const uint16_t* __restrict from, float* __restrict to, size_t length) {
  for (size_t i = 0; i < length; ++i) to[i] = floatOf(static_cast<uint32_t>(from[i]) << 16);
}
}  // namespace ISA
