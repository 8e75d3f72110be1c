#pragma once
// One float seen as a one-lane vector.
#include <math.h>
#include <stddef.h>

#include "double1.h"
namespace ISA {
struct Vec1 {
  static constexpr size_t kLanes = 1;
  float x;
  Vec1(float s) : x(s) {}
  static Vec1 load(const float* p) { return *p; }
  void store(float* p) const { *p = x; }
  /// The first n lanes alone, n < kLanes: never of one lane, but the loops are the same for every width.
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
/// a > b ? a : b and a < b ? a : b: where either is NaN, the second.
inline Vec1 max(Vec1 a, Vec1 b) { return a.x > b.x ? a : b; }
inline Vec1 min(Vec1 a, Vec1 b) { return a.x < b.x ? a : b; }
/// 1 above 0, -1 below; a zero or a NaN stays itself.
inline Vec1 sign(Vec1 a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }
}  // namespace ISA
