#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 16;
  __m512 x;
  Vec(__m512 v) : x(v) {}
  Vec(float s) : x(_mm512_set1_ps(s)) {}
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  void store(float* p) const { _mm512_storeu_ps(p, x); }
  /// Only the first n lanes, n < kLanes. The others load as 0.
  static Vec load(const float* p, size_t n) { return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p); }
  void store(float* p, size_t n) const { _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), x); }
};
inline Vec operator+(Vec a, Vec b) { return _mm512_add_ps(a.x, b.x); }
inline Vec operator-(Vec a, Vec b) { return _mm512_sub_ps(a.x, b.x); }
inline Vec operator*(Vec a, Vec b) { return _mm512_mul_ps(a.x, b.x); }
inline Vec operator/(Vec a, Vec b) { return _mm512_div_ps(a.x, b.x); }
inline Vec sqrt(Vec a) { return _mm512_sqrt_ps(a.x); }
inline Vec abs(Vec a) { return _mm512_abs_ps(a.x); }
inline Vec select(Vec a, Vec b, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.x, b.x, _CMP_GT_OQ), no.x, yes.x);
}
inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a.x, b.x); }
inline Vec min(Vec a, Vec b) { return _mm512_min_ps(a.x, b.x); }
inline Vec sign(Vec a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }

// Only for kernels/root.h. A formula must not use them: they round once where other instruction sets round twice.
#define HAS_FMA
inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a.x, b.x, c.x); }          // a * b + c
inline Vec negatedMultiplyAdd(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a.x, b.x, c.x); }  // c - a * b
/// 1 / sqrt(a), with a relative error of at most 2^-14.
inline Vec approximateInverseRoot(Vec a) { return _mm512_rsqrt14_ps(a.x); }
constexpr bool kIsRough = false;
inline bool hasNan(Vec a) { return _mm512_cmp_ps_mask(a.x, a.x, _CMP_UNORD_Q) != 0; }

/// The bits of the lanes of a Vec.
struct Bits {
  __m512i x;
  Bits(__m512i v) : x(v) {}
  Bits(uint32_t s) : x(_mm512_set1_epi32(static_cast<int>(s))) {}
  explicit Bits(Vec v) : x(_mm512_castps_si512(v.x)) {}
  explicit operator Vec() const { return _mm512_castsi512_ps(x); }
  /// The number of each lane: 0, 1, ...
  static Bits lanes() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  static Bits loadUpper(const uint16_t* p) {
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16);
  }
  void storeUpper(uint16_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(x, 16)));
  }
};
inline Bits operator+(Bits a, Bits b) { return _mm512_add_epi32(a.x, b.x); }
inline Bits operator*(Bits a, Bits b) { return _mm512_mullo_epi32(a.x, b.x); }
inline Bits operator&(Bits a, Bits b) { return _mm512_and_si512(a.x, b.x); }
inline Bits operator^(Bits a, Bits b) { return _mm512_xor_si512(a.x, b.x); }
template <int n>
Bits shiftRight(Bits a) {
  return _mm512_srli_epi32(a.x, n);
}
inline bool isBelow(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.x, b.x, _CMP_LT_OQ) == 0xffff; }

struct Double {
  static constexpr size_t kLanes = 8;
  __m512d x;
  Double(__m512d v) : x(v) {}
  Double(double s = 0) : x(_mm512_set1_pd(s)) {}
  static Double load(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static Double load(const double* p) { return _mm512_loadu_pd(p); }
  void store(float* p) const { _mm256_storeu_ps(p, _mm512_cvtpd_ps(x)); }
  void store(double* p) const { _mm512_storeu_pd(p, x); }
};
/// The lanes of a Vec in float64.
struct Doubles {
  Double parts[Vec::kLanes / Double::kLanes];
  explicit Doubles(Vec v)
      : parts{_mm512_cvtps_pd(_mm512_castps512_ps256(v.x)),
              _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v.x), 1)))} {}
};
inline Double operator+(Double a, Double b) { return _mm512_add_pd(a.x, b.x); }
inline Double operator-(Double a, Double b) { return _mm512_sub_pd(a.x, b.x); }
inline Double operator*(Double a, Double b) { return _mm512_mul_pd(a.x, b.x); }
inline Double abs(Double a) { return _mm512_abs_pd(a.x); }
inline Double select(Double a, Double b, Double yes, Double no) {
  return _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a.x, b.x, _CMP_GT_OQ), no.x, yes.x);
}
}  // namespace ISA
