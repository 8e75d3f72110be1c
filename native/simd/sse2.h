#pragma once
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "inline.h"
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 4;
  __m128 x;
  Vec(__m128 v) : x(v) {}
  Vec(float s) : x(_mm_set1_ps(s)) {}
  static Vec load(const float* p) { return _mm_loadu_ps(p); }
  void store(float* p) const { _mm_storeu_ps(p, x); }
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

/// The bits of the lanes of a Vec.
struct Bits {
  __m128i x;
  Bits(__m128i v) : x(v) {}
  Bits(uint32_t s) : x(_mm_set1_epi32(static_cast<int>(s))) {}
  explicit Bits(Vec v) : x(_mm_castps_si128(v.x)) {}
  explicit operator Vec() const { return _mm_castsi128_ps(x); }
  /// The number of each lane: 0, 1, ...
  static Bits lanes() { return _mm_setr_epi32(0, 1, 2, 3); }
  static Bits loadUpper(const uint16_t* p) {
    return _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  void storeUpper(uint16_t* p) const {
    const __m128i upper = _mm_srai_epi32(x, 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(upper, upper));
  }
};
inline Bits operator+(Bits a, Bits b) { return _mm_add_epi32(a.x, b.x); }
inline Bits operator*(Bits a, Bits b) {
  const __m128i even = _mm_mul_epu32(a.x, b.x);
  const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(a.x, 32), _mm_srli_epi64(b.x, 32));
  return _mm_unpacklo_epi32(_mm_shuffle_epi32(even, 0x08), _mm_shuffle_epi32(odd, 0x08));
}
inline Bits operator&(Bits a, Bits b) { return _mm_and_si128(a.x, b.x); }
inline Bits operator^(Bits a, Bits b) { return _mm_xor_si128(a.x, b.x); }
template <int n>
Bits shiftRight(Bits a) {
  return _mm_srli_epi32(a.x, n);
}
inline bool isBelow(Vec a, Vec b) { return _mm_movemask_ps(_mm_cmplt_ps(a.x, b.x)) == 0xf; }

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
/// The lanes of a Vec in float64.
struct Doubles {
  Double parts[Vec::kLanes / Double::kLanes];
  explicit Doubles(Vec v) : parts{_mm_cvtps_pd(v.x), _mm_cvtps_pd(_mm_movehl_ps(v.x, v.x))} {}
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
