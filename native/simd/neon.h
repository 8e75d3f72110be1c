#pragma once
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "inline.h"
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 4;
  float32x4_t x;
  Vec(float32x4_t v) : x(v) {}
  Vec(float s) : x(vdupq_n_f32(s)) {}
  static Vec load(const float* p) { return vld1q_f32(p); }
  void store(float* p) const { vst1q_f32(p, x); }
  /// Only the first n lanes, n < kLanes. The others load as 0. One copy for all kernels keeps the addon small.
  NEVER_INLINE static Vec load(const float* p, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  void store(float* p, size_t n) const { storeFirst(*this, p, n); }
  NEVER_INLINE static void storeFirst(Vec v, float* p, size_t n) {
    float lanes[kLanes];
    v.store(lanes);
    for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
  }
};
inline Vec operator+(Vec a, Vec b) { return vaddq_f32(a.x, b.x); }
inline Vec operator-(Vec a, Vec b) { return vsubq_f32(a.x, b.x); }
inline Vec operator*(Vec a, Vec b) { return vmulq_f32(a.x, b.x); }
inline Vec operator/(Vec a, Vec b) { return vdivq_f32(a.x, b.x); }
inline Vec sqrt(Vec a) { return vsqrtq_f32(a.x); }
inline Vec abs(Vec a) { return vabsq_f32(a.x); }
inline Vec select(Vec a, Vec b, Vec yes, Vec no) { return vbslq_f32(vcgtq_f32(a.x, b.x), yes.x, no.x); }
// Not vmaxq and vminq: they order the zeros, and return NaN if either operand is NaN.
inline Vec max(Vec a, Vec b) { return select(a, b, a, b); }
inline Vec min(Vec a, Vec b) { return select(b, a, a, b); }
inline Vec sign(Vec a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }

/// The bits of the lanes of a Vec.
struct Bits {
  uint32x4_t x;
  Bits(uint32x4_t v) : x(v) {}
  Bits(uint32_t s) : x(vdupq_n_u32(s)) {}
  explicit Bits(Vec v) : x(vreinterpretq_u32_f32(v.x)) {}
  explicit operator Vec() const { return vreinterpretq_f32_u32(x); }
  /// The number of each lane: 0, 1, ...
  static Bits lanes() {
    const uint32_t numbers[] = {0, 1, 2, 3};
    return vld1q_u32(numbers);
  }
  static Bits loadUpper(const uint16_t* p) { return vshll_n_u16(vld1_u16(p), 16); }
  void storeUpper(uint16_t* p) const { vst1_u16(p, vshrn_n_u32(x, 16)); }
};
inline Bits operator+(Bits a, Bits b) { return vaddq_u32(a.x, b.x); }
inline Bits operator*(Bits a, Bits b) { return vmulq_u32(a.x, b.x); }
inline Bits operator&(Bits a, Bits b) { return vandq_u32(a.x, b.x); }
inline Bits operator^(Bits a, Bits b) { return veorq_u32(a.x, b.x); }
template <int n>
Bits shiftRight(Bits a) {
  return vshrq_n_u32(a.x, n);
}
inline bool isBelow(Vec a, Vec b) { return vminvq_u32(vcltq_f32(a.x, b.x)) != 0; }

struct Double {
  static constexpr size_t kLanes = 2;
  float64x2_t x;
  Double(float64x2_t v) : x(v) {}
  Double(double s = 0) : x(vdupq_n_f64(s)) {}
  static Double load(const float* p) { return vcvt_f64_f32(vld1_f32(p)); }
  static Double load(const double* p) { return vld1q_f64(p); }
  void store(float* p) const { vst1_f32(p, vcvt_f32_f64(x)); }
  void store(double* p) const { vst1q_f64(p, x); }
};
/// The lanes of a Vec in float64.
struct Doubles {
  Double parts[Vec::kLanes / Double::kLanes];
  explicit Doubles(Vec v) : parts{vcvt_f64_f32(vget_low_f32(v.x)), vcvt_high_f64_f32(v.x)} {}
};
inline Double operator+(Double a, Double b) { return vaddq_f64(a.x, b.x); }
inline Double operator-(Double a, Double b) { return vsubq_f64(a.x, b.x); }
inline Double operator*(Double a, Double b) { return vmulq_f64(a.x, b.x); }
inline Double abs(Double a) { return vabsq_f64(a.x); }
inline Double select(Double a, Double b, Double yes, Double no) { return vbslq_f64(vcgtq_f64(a.x, b.x), yes.x, no.x); }
}  // namespace ISA
