#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
namespace ISA {
struct Vec {
  static constexpr size_t kLanes = 8;
  __m256 x;
  Vec(__m256 v) : x(v) {}
  Vec(float s) : x(_mm256_set1_ps(s)) {}
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  void store(float* p) const { _mm256_storeu_ps(p, x); }
  /// Only the first n lanes, n < kLanes. The others load as 0.
  static Vec load(const float* p, size_t n) { return _mm256_maskload_ps(p, first(n)); }
  // By halves: a masked store is slow on AMD's processors.
  void store(float* p, size_t n) const {
    __m128 part = _mm256_castps256_ps128(x);
    if (n & 4) {
      _mm_storeu_ps(p, part);
      part = _mm256_extractf128_ps(x, 1);
      p += 4;
    }
    if (n & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(p), part);
      part = _mm_movehl_ps(part, part);
      p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
  }
  static __m256i first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};
inline Vec operator+(Vec a, Vec b) { return _mm256_add_ps(a.x, b.x); }
inline Vec operator-(Vec a, Vec b) { return _mm256_sub_ps(a.x, b.x); }
inline Vec operator*(Vec a, Vec b) { return _mm256_mul_ps(a.x, b.x); }
inline Vec operator/(Vec a, Vec b) { return _mm256_div_ps(a.x, b.x); }
inline Vec sqrt(Vec a) { return _mm256_sqrt_ps(a.x); }
inline Vec abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.x); }
inline Vec select(Vec a, Vec b, Vec yes, Vec no) {
  return _mm256_blendv_ps(no.x, yes.x, _mm256_cmp_ps(a.x, b.x, _CMP_GT_OQ));
}
inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a.x, b.x); }
inline Vec min(Vec a, Vec b) { return _mm256_min_ps(a.x, b.x); }
inline Vec sign(Vec a) { return select(a, 0.0f, 1.0f, select(0.0f, a, -1.0f, a)); }

// Only for kernels/root.h. A formula must not use them: they round once where other instruction sets round twice.
#define HAS_FMA
inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a.x, b.x, c.x); }          // a * b + c
inline Vec negatedMultiplyAdd(Vec a, Vec b, Vec c) { return _mm256_fnmadd_ps(a.x, b.x, c.x); }  // c - a * b
/// 1 / sqrt(a), with a relative error of at most 1.5 * 2^-12.
inline Vec approximateInverseRoot(Vec a) { return _mm256_rsqrt_ps(a.x); }
constexpr bool kIsRough = true;
inline bool hasNan(Vec a) { return _mm256_movemask_ps(_mm256_cmp_ps(a.x, a.x, _CMP_UNORD_Q)) != 0; }

/// The bits of the lanes of a Vec.
struct Bits {
  __m256i x;
  Bits(__m256i v) : x(v) {}
  Bits(uint32_t s) : x(_mm256_set1_epi32(static_cast<int>(s))) {}
  explicit Bits(Vec v) : x(_mm256_castps_si256(v.x)) {}
  explicit operator Vec() const { return _mm256_castsi256_ps(x); }
  /// The number of each lane: 0, 1, ...
  static Bits lanes() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static Bits loadUpper(const uint16_t* p) {
    const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_shuffle_epi8(twice, _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,  //
                                                       -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15));
  }
  void storeUpper(uint16_t* p) const {
    const __m256i halves =
        _mm256_shuffle_epi8(x, _mm256_setr_epi8(2, 3, 6, 7, 10, 11, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1,  //
                                                2, 3, 6, 7, 10, 11, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(halves));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 4), _mm256_extracti128_si256(halves, 1));
  }
};
inline Bits operator+(Bits a, Bits b) { return _mm256_add_epi32(a.x, b.x); }
inline Bits operator*(Bits a, Bits b) { return _mm256_mullo_epi32(a.x, b.x); }
inline Bits operator&(Bits a, Bits b) { return _mm256_and_si256(a.x, b.x); }
inline Bits operator^(Bits a, Bits b) { return _mm256_xor_si256(a.x, b.x); }
template <int n>
Bits shiftRight(Bits a) {
  return _mm256_srli_epi32(a.x, n);
}
inline bool isBelow(Vec a, Vec b) { return _mm256_movemask_ps(_mm256_cmp_ps(a.x, b.x, _CMP_LT_OQ)) == 0xff; }

struct Double {
  static constexpr size_t kLanes = 4;
  __m256d x;
  Double(__m256d v) : x(v) {}
  Double(double s = 0) : x(_mm256_set1_pd(s)) {}
  static Double load(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static Double load(const double* p) { return _mm256_loadu_pd(p); }
  void store(float* p) const { _mm_storeu_ps(p, _mm256_cvtpd_ps(x)); }
  void store(double* p) const { _mm256_storeu_pd(p, x); }
};
/// The lanes of a Vec in float64.
struct Doubles {
  Double parts[Vec::kLanes / Double::kLanes];
  explicit Doubles(Vec v)
      : parts{_mm256_cvtps_pd(_mm256_castps256_ps128(v.x)), _mm256_cvtps_pd(_mm256_extractf128_ps(v.x, 1))} {}
};
inline Double operator+(Double a, Double b) { return _mm256_add_pd(a.x, b.x); }
inline Double operator-(Double a, Double b) { return _mm256_sub_pd(a.x, b.x); }
inline Double operator*(Double a, Double b) { return _mm256_mul_pd(a.x, b.x); }
inline Double abs(Double a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a.x); }
inline Double select(Double a, Double b, Double yes, Double no) {
  return _mm256_blendv_pd(no.x, yes.x, _mm256_cmp_pd(a.x, b.x, _CMP_GT_OQ));
}
}  // namespace ISA
