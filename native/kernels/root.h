#pragma once
// Square roots with FMA. Formulas such as AdaGrad's wait for the one unit of the CPU that computes roots and quotients.
// So some vectors of a walk compute their roots by multiplications: an approximation, one refinement, and a last step
// from the exact remainder. That is the correctly rounded root, the same bits as sqrt. Markstein 1990, "Computation of
// elementary functions on the IBM RISC System/6000 processor", https://doi.org/10.1147/rd.341.0111.
// native/test/exhaustive/ proves it for every float.
#ifdef HAS_FMA
namespace ISA {
/// sqrt(x), for x of 0 or in [2^-101, 2^128). `approximation` is that of 1 / sqrt(x), and finite if x is 0. A rough one
/// has a relative error of up to 1.5 * 2^-12; others, of up to 2^-14.
template <bool kIsRough>
ALWAYS_INLINE Vec refinedRoot(Vec x, Vec approximation) {
  // Not 0.5: just below 4 the root would be rounded up to 2.
  constexpr float kAlmostHalf = 0x1.fffffep-2f;
  const Vec root = x * approximation;
  const Vec half = Vec(Bits(approximation) + Bits(0xff800000u));  // the exponent less 1
  Vec error = negatedMultiplyAdd(root, half, Vec(kAlmostHalf));
  if (kIsRough) error = multiplyAdd(Vec(1.5f) * error, error, error);
  const Vec better = multiplyAdd(root, error, root);
  const Vec remainder = negatedMultiplyAdd(better, better, x);
  return multiplyAdd(remainder, multiplyAdd(half, error, half), better);
}

/// A vector whose root is computed with FMA.
struct FmaVec : Vec {
  FmaVec(Vec v) : Vec(v) {}
  FmaVec(float s) : Vec(s) {}
};

/// The same bits as sqrt(Vec).
ALWAYS_INLINE Vec sqrt(FmaVec a) {
  // Scaled, so that the remainder is exact, also where denormal numbers are flushed. What is negative, NaN or at least
  // 2^80 becomes NaN.
  const Vec x = Vec(0x1p48f) * a;
  const Vec root = Vec(0x1p-24f) * refinedRoot<kIsRough>(x, approximateInverseRoot(x + Vec(0x1p-126f)));
  if (UNLIKELY(hasNan(root))) return sqrt(static_cast<Vec>(a));
  return root;
}

/// As a walk without extras but prefetches over whole blocks of `kOneOf` vectors, the last of which computes its roots
/// with FMA.
template <size_t kOneOf, class K>
ALWAYS_INLINE void walkBlocks(const Pass pass, const unsigned extras, const K kernel, const Span span) {
  const State<K, StateIndices<K>> state(span);
  for (size_t i = 0; i < span.length; i += kOneOf * Vec::kLanes) {
    if ((extras & kPrefetch) != 0) {
      for (size_t v = 0; v < kOneOf * Vec::kLanes; v += kLine) prefetchLines<K>(extras, span, i + v, StateIndices<K>());
    }
    for (size_t v = 0; v < kOneOf - 1; ++v) {
      updateVector(Whole(), pass, 0, kernel, span, state, i + v * Vec::kLanes);
    }
    updateVector<FmaVec>(Whole(), pass, 0, kernel, span, state, i + (kOneOf - 1) * Vec::kLanes);
  }
}

/// The same for spans that may ask for prefetches.
template <size_t kOneOf, class K>
ALWAYS_INLINE void walkBlocks(const Pass& pass, const K& kernel, const Span& span) {
  if (span.prefetch) {
    walkBlocks<kOneOf>(pass, kPrefetch, kernel, span);
  } else {
    walkBlocks<kOneOf>(pass, 0, kernel, span);
  }
}

/// Elements of a span whose kernel has state per element.
template <class K>
ALWAYS_INLINE Span partOf(const Span& span, size_t begin, size_t length) {
  Span part = span;
  part.param += begin;
  part.grad += begin;
  for (size_t s = 0; s < countNames(K::kState); ++s) part.state[s] += begin;
  part.length = length;
  return part;
}
}  // namespace ISA
#endif
