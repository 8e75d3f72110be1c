#pragma once
// A float as a vector of one lane. The other headers in this folder have the same interface.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "double1.h"
namespace ISA {
struct Vec1 {
  static constexpr size_t kLanes = 1;
  float x;
  Vec1(float s) : x(s) {}
  static Vec1 load(const float* p) { return *p; }
  void store(float* p) const { *p = x; }
  /// Only the first n lanes, n < kLanes. Never called for one lane, but the loops need it to compile.
  static Vec1 load(const float* p, size_t) { return *p; }
  void store(float* p, size_t) const { *p = x; }
};
inline Vec1 operator+(Vec1 a, Vec1 b) { return a.x + b.x; }
inline Vec1 operator-(Vec1 a, Vec1 b) { return a.x - b.x; }
inline Vec1 operator*(Vec1 a, Vec1 b) { return a.x * b.x; }
inline Vec1 operator/(Vec1 a, Vec1 b) { return a.x / b.x; }
#ifdef __GNUC__
inline Vec1 sqrt(Vec1 a) { return __builtin_sqrtf(a.x); }
inline Vec1 abs(Vec1 a) { return __builtin_fabsf(a.x); }
#else
inline Vec1 sqrt(Vec1 a) { return ::sqrtf(a.x); }
inline Vec1 abs(Vec1 a) { return ::fabsf(a.x); }
#endif
/// a > b ? yes : no, lane by lane.
inline Vec1 select(Vec1 a, Vec1 b, Vec1 yes, Vec1 no) { return a.x > b.x ? yes : no; }
/// a > b ? a : b and a < b ? a : b. If either is NaN, the result is b.
inline Vec1 max(Vec1 a, Vec1 b) { return a.x > b.x ? a : b; }
inline Vec1 min(Vec1 a, Vec1 b) { return a.x < b.x ? a : b; }
/// 1 for a > 0, -1 for a < 0. Returns a zero or a NaN unchanged.
inline Vec1 sign(Vec1 a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }
/// Whether a < b in every lane.
inline bool isBelow(Vec1 a, Vec1 b) { return a.x < b.x; }

/// The bits of the lanes of a Vec.
struct Bits1 {
  uint32_t x;
  Bits1(uint32_t s) : x(s) {}
  explicit Bits1(Vec1 v) { memcpy(&x, &v.x, sizeof x); }
  explicit operator Vec1() const {
    float value;
    memcpy(&value, &x, sizeof value);
    return value;
  }
  /// The number of each lane: 0, 1, ...
  static Bits1 lanes() { return 0u; }
  /// Numbers in bfloat16 are the upper halves of the lanes. The lower halves load as 0, and storing cuts them off.
  static Bits1 loadUpper(const uint16_t* p) { return static_cast<uint32_t>(*p) << 16; }
  void storeUpper(uint16_t* p) const { *p = static_cast<uint16_t>(x >> 16); }
};
inline Bits1 operator+(Bits1 a, Bits1 b) { return a.x + b.x; }
inline Bits1 operator*(Bits1 a, Bits1 b) { return a.x * b.x; }
inline Bits1 operator&(Bits1 a, Bits1 b) { return a.x & b.x; }
inline Bits1 operator^(Bits1 a, Bits1 b) { return a.x ^ b.x; }
template <int n>
Bits1 shiftRight(Bits1 a) {
  return a.x >> n;
}
/// The lanes of a Vec1 in float64.
struct Doubles1 {
  Double1 parts[1];
  explicit Doubles1(Vec1 v) : parts{static_cast<double>(v.x)} {}
};
}  // namespace ISA
