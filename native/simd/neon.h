#pragma once
#include <arm_neon.h>
#include <stddef.h>
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 4;
  float32x4_t x;
  Vec(float32x4_t v) : x(v) {}
  Vec(float s) : x(vdupq_n_f32(s)) {}
  static Vec load(const float* p) { return vld1q_f32(p); }
  void store(float* p) const { vst1q_f32(p, x); }
  /// Only the first n lanes, n < kLanes. The others load as 0.
  static Vec load(const float* p, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  void store(float* p, size_t n) const {
    float lanes[kLanes];
    store(lanes);
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
inline Double operator+(Double a, Double b) { return vaddq_f64(a.x, b.x); }
inline Double operator-(Double a, Double b) { return vsubq_f64(a.x, b.x); }
inline Double operator*(Double a, Double b) { return vmulq_f64(a.x, b.x); }
inline Double abs(Double a) { return vabsq_f64(a.x); }
inline Double select(Double a, Double b, Double yes, Double no) { return vbslq_f64(vcgtq_f64(a.x, b.x), yes.x, no.x); }
}  // namespace ISA
