#pragma once
#include <emmintrin.h>
#include <stddef.h>
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 4;
  __m128 x;
  Vec(__m128 v) : x(v) {}
  Vec(float s) : x(_mm_set1_ps(s)) {}
  static Vec load(const float* p) { return _mm_loadu_ps(p); }
  void store(float* p) const { _mm_storeu_ps(p, x); }
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
inline Vec operator+(Vec a, Vec b) { return _mm_add_ps(a.x, b.x); }
inline Vec operator-(Vec a, Vec b) { return _mm_sub_ps(a.x, b.x); }
inline Vec operator*(Vec a, Vec b) { return _mm_mul_ps(a.x, b.x); }
inline Vec operator/(Vec a, Vec b) { return _mm_div_ps(a.x, b.x); }
inline Vec sqrt(Vec a) { return _mm_sqrt_ps(a.x); }
inline Vec abs(Vec a) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), a.x); }
inline Vec select(Vec a, Vec b, Vec yes, Vec no) {
  const __m128 mask = _mm_cmpgt_ps(a.x, b.x);
  return _mm_or_ps(_mm_and_ps(mask, yes.x), _mm_andnot_ps(mask, no.x));
}
inline Vec max(Vec a, Vec b) { return _mm_max_ps(a.x, b.x); }
inline Vec min(Vec a, Vec b) { return _mm_min_ps(a.x, b.x); }
inline Vec sign(Vec a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }

struct Double {
  static constexpr size_t kLanes = 2;
  __m128d x;
  Double(__m128d v) : x(v) {}
  Double(double s = 0) : x(_mm_set1_pd(s)) {}
  static Double load(const float* p) {
    return _mm_cvtps_pd(_mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64*>(p)));
  }
  static Double load(const double* p) { return _mm_loadu_pd(p); }
  void store(float* p) const { _mm_storel_pi(reinterpret_cast<__m64*>(p), _mm_cvtpd_ps(x)); }
  void store(double* p) const { _mm_storeu_pd(p, x); }
};
inline Double operator+(Double a, Double b) { return _mm_add_pd(a.x, b.x); }
inline Double operator-(Double a, Double b) { return _mm_sub_pd(a.x, b.x); }
inline Double operator*(Double a, Double b) { return _mm_mul_pd(a.x, b.x); }
inline Double abs(Double a) { return _mm_andnot_pd(_mm_set1_pd(-0.0), a.x); }
inline Double select(Double a, Double b, Double yes, Double no) {
  const __m128d mask = _mm_cmpgt_pd(a.x, b.x);
  return _mm_or_pd(_mm_and_pd(mask, yes.x), _mm_andnot_pd(mask, no.x));
}
}  // namespace ISA
