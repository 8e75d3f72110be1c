#pragma once
// The walk over memory that all kernels share: prologue, formula, epilogue.
#include <string.h>

#include "../simd/inline.h"
#include "prefetch.h"
namespace ISA {
// std::index_sequence without the STL.
template <size_t...>
struct Indices {};
template <size_t N, size_t... S>
struct Count : Count<N - 1, N - 1, S...> {};
template <size_t... S>
struct Count<0, S...> {
  using type = Indices<S...>;
};

/// The number of names in a list such as "expAvg, expAvgSq".
constexpr size_t countNames(const char* list) {
  size_t n = *list == '\0' ? 0 : 1;
  for (; *list != '\0'; ++list) n += *list == ',';
  return n;
}

template <class K>
using StateIndices = typename Count<countNames(K::kState)>::type;

/// The layout of state buffer `s`: as declared with LAYOUT, or else one number per element.
template <class K>
constexpr auto layoutOf(size_t s, int) -> decltype(K::kLayout[s] == kElement, Layout()) {
  return K::kLayout[s];
}
template <class K>
constexpr Layout layoutOf(size_t, long) {
  return kElement;
}

/// Loads and stores whole vectors.
struct Whole {
  ALWAYS_INLINE Vec load(const float* p) const { return Vec::load(p); }
  ALWAYS_INLINE void store(Vec v, float* p) const { v.store(p); }
};
/// Loads and stores the tail: the first `lanes` of a vector.
struct Part {
  size_t lanes;
  ALWAYS_INLINE Vec load(const float* p) const { return Vec::load(p, lanes); }
  ALWAYS_INLINE void store(Vec v, float* p) const { v.store(p, lanes); }
};

/// What a walk does beside the formula and scaling the gradient, as bits of one register. The test of a bit is one
/// instruction. Comparisons of floats in the loop would be three each, and leave the CPU fewer elements ahead to work
/// on while roots and quotients are computed.
enum Extra : unsigned { kClip = 1, kDecay = 2, kZeroGrad = 4, kAverage = 8, kStartAverage = 16, kPrefetch = 32 };

/// The bits of the prologue.
ALWAYS_INLINE unsigned extrasOf(const Pass& pass) {
  return (pass.clipValue != INFINITY ? kClip : 0u) | (pass.l2 != 0 ? kDecay : 0u);
}
/// All bits.
ALWAYS_INLINE unsigned extrasOf(const Pass& pass, const Span& span) {
  const unsigned average = kAverage | (pass.emaStart != 0 ? kStartAverage : 0u);
  return extrasOf(pass) | (span.zeroGrad ? kZeroGrad : 0u) | (span.ema != nullptr ? average : 0u) |
         (span.prefetch ? kPrefetch : 0u);
}

/// Whether there are none but prefetches: the common case.
ALWAYS_INLINE bool isPlain(const Pass& pass, const Span& span) {
  return pass.clipValue == INFINITY && pass.l2 == 0 && !span.zeroGrad && span.ema == nullptr;
}

/// The pass without its prologue, for gradients that have it behind them.
ALWAYS_INLINE Pass withoutPrologue(Pass pass) {
  pass.gradScale = 1;
  pass.clipValue = INFINITY;
  pass.l2 = 0;
  return pass;
}

/// Returns the gradient that the formula sees.
ALWAYS_INLINE Vec prologue(const Pass& pass, unsigned extras, Vec param, Vec grad) {
  grad = Vec(pass.gradScale) * grad;
  if ((extras & kClip) != 0) grad = min(Vec(pass.clipValue), max(Vec(-pass.clipValue), grad));
  if ((extras & kDecay) != 0) grad = grad + Vec(pass.l2) * param;
  return grad;
}

template <class M>
ALWAYS_INLINE void epilogue(M memory, const Pass& pass, unsigned extras, const Span& span, size_t i, Vec before,
                            Vec param) {
  memory.store(param, span.param + i);
  if ((extras & kZeroGrad) != 0) memory.store(Vec(0.0f), span.grad + i);
  if ((extras & kAverage) != 0) {
    const Vec ema = (extras & kStartAverage) != 0 ? before : memory.load(span.ema + i);
    memory.store(ema + Vec(pass.emaRate) * (param - ema), span.ema + i);
  }
}

/// Loads and stores the state of a kernel. A number that a whole matrix row shares is read once for its span.
template <class K, class I>
struct State;
template <class K, size_t... S>
struct State<K, Indices<S...>> {
  float ofRow[sizeof...(S) + 1];  // one more: an array must not be empty
  ALWAYS_INLINE explicit State(const Span& span)
      : ofRow{(layoutOf<K>(S, 0) == kRow ? *span.state[S] : 0.0f)..., 0.0f} {}
  template <size_t s, class M>
  ALWAYS_INLINE Vec load(M memory, const Span& span, size_t i) const {
    return layoutOf<K>(s, 0) == kRow ? Vec(ofRow[s]) : memory.load(span.state[s] + i);
  }
  /// State of rows and columns changes before the walk, not in it.
  template <size_t s, class M>
  ALWAYS_INLINE void store(M memory, Vec value, const Span& span, size_t i) const {
    if (layoutOf<K>(s, 0) == kElement) memory.store(value, span.state[s] + i);
  }
};

/// Updates one vector of elements, the first of them `i`. V is Vec, or FmaVec of root.h.
template <class V = Vec, class M, class K, size_t... S>
ALWAYS_INLINE void updateVector(M memory, const Pass& pass, unsigned extras, const K& kernel, const Span& span,
                                const State<K, Indices<S...>>& state, size_t i) {
  const Vec before = memory.load(span.param + i);
  const V grad = prologue(pass, extras, before, memory.load(span.grad + i));
  V values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i)..., V(0.0f)};
  V param = Vec(pass.decayFactor) * before;
  kernel.update(param, grad, values[S]...);
  (state.template store<S>(memory, values[S], span, i), ...);
  epilogue(memory, pass, extras, span, i, before, param);
}

/// How many floats ahead of a walk its memory is prefetched: 1 KB of each array.
constexpr size_t kFloatsAhead = 256;

/// The address `floats` floats after `p`, maybe outside of its array: only for prefetches.
ALWAYS_INLINE const float* after(const float* p, size_t floats) {
  return reinterpret_cast<const float*>(reinterpret_cast<uintptr_t>(p) + floats * sizeof(float));
}

/// Whether a kernel has state with one number per element.
template <class K, size_t... S>
constexpr bool hasElementState(Indices<S...>) {
  return (false || ... || (layoutOf<K>(S, 0) == kElement));
}

/// Whether the walk of a kernel can prefetch. Two arrays are read as fast without.
template <class K>
constexpr bool kPrefetches = kCanPrefetch && hasElementState<K>(StateIndices<K>());

/// Prefetches one cache line of each array of a walk.
template <class K, size_t... S>
ALWAYS_INLINE void prefetchLines(unsigned extras, const Span& span, size_t i, Indices<S...>) {
  prefetch<kWrite>(after(span.param, i + kFloatsAhead));
  prefetch<kRead>(after(span.grad, i + kFloatsAhead));
  ((layoutOf<K>(S, 0) == kElement ? prefetch<kWrite>(after(span.state[S], i + kFloatsAhead)) : void()), ...);
  if ((extras & kAverage) != 0) prefetch<kWrite>(after(span.ema, i + kFloatsAhead));
}

// Spans below this length take longer to align than aligned accesses save.
constexpr size_t kMinAligned = 1024;

/// Elements before the first that begins at a multiple of the size of a vector.
inline size_t untilAligned(const float* p) {
  constexpr size_t kMask = Vec::kLanes - 1;
  return (Vec::kLanes - (reinterpret_cast<size_t>(p) / sizeof(float) & kMask)) & kMask;
}

// The arguments are copies: stores through the pointers of `span` cannot change them, so they stay in registers. Do not
// combine the arguments into one struct: GCC 12 then no longer keeps them in registers and emits up to five times as
// much code. `extras` is 0, or kPrefetch alone, in code of its own.
template <class K>
ALWAYS_INLINE void walk(const Pass pass, const unsigned extras, const K kernel, const Span span) {
  const State<K, StateIndices<K>> state(span);
  size_t i = 0;
  // Large arrays of JavaScript begin 16 bytes into a cache line. Without this, each access of a wide vector would touch
  // two.
  if (Vec::kLanes > 4 && span.length >= kMinAligned && (i = untilAligned(span.param)) > 0) {
    updateVector(Part{i}, pass, extras, kernel, span, state, 0);
  }
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) {
    const bool isNextLine = (i & (kLine - Vec::kLanes)) == 0;
    if (kPrefetches<K> && (extras & kPrefetch) != 0 && isNextLine) prefetchLines<K>(extras, span, i, StateIndices<K>());
    updateVector(Whole(), pass, extras, kernel, span, state, i);
  }
  if (i < span.length) updateVector(Part{span.length - i}, pass, extras, kernel, span, state, i);
}
}  // namespace ISA
