#pragma once
// The walk over memory that every kernel shares: the common prologue, the formula, the common epilogue.
#include <string.h>
namespace ISA {
template <size_t...>
struct Indices {};
template <size_t N, size_t... S>
struct Count : Count<N - 1, N - 1, S...> {};
template <size_t... S>
struct Count<0, S...> {
  using type = Indices<S...>;
};

/// How many names a list such as "expAvg, expAvgSq" holds.
constexpr size_t names(const char* list) {
  size_t n = *list == '\0' ? 0 : 1;
  for (; *list != '\0'; ++list) n += *list == ',';
  return n;
}

/// One vector of elements. The plain step (kAll false) leaves out what Pass says is unused.
template <bool kAll, class V, class K, size_t... S>
inline void at(const Pass& pass, const K& kernel, const Span& span, size_t i, Indices<S...>) {
  V param = V::load(span.param + i), grad = V::load(span.grad + i);
  V state[sizeof...(S) + 1] = {V::load(span.state[S] + i)..., V(0.0f)};
  const V before = param;
  grad = V(pass.gradScale) * grad;
  if (kAll) {
    if (pass.clipValue != INFINITY) grad = min(V(pass.clipValue), max(V(-pass.clipValue), grad));
    if (pass.l2 != 0) grad = grad + V(pass.l2) * param;
  }
  param = V(pass.keep) * param;
  kernel.update(param, grad, state[S]...);
  param.store(span.param + i);
  (state[S].store(span.state[S] + i), ...);
  if (kAll) {
    if (span.zeroGrad) V(0.0f).store(span.grad + i);
    if (span.ema != nullptr) {
      const V ema = pass.emaStart != 0 ? before : V::load(span.ema + i);
      (ema + V(pass.emaRate) * (param - ema)).store(span.ema + i);
    }
  }
}

// The arguments are copies: stores through span's pointers can't change them, so they stay in registers.
template <bool kAll, class K>
inline void walk(const Pass pass, const K kernel, const Span span) {
  typename Count<names(K::kState)>::type all;
  size_t i = 0;
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) at<kAll, Vec>(pass, kernel, span, i, all);
  for (; i < span.length; ++i) at<kAll, Vec1>(pass, kernel, span, i, all);
}

template <class K>
void run(const Pass& pass, const float* constants, const Span& span) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  if (pass.clipValue == INFINITY && pass.l2 == 0 && !span.zeroGrad && span.ema == nullptr) {
    walk<false>(pass, kernel, span);
  } else {
    walk<true>(pass, kernel, span);
  }
}

template <class K>
constexpr Kernel entry(const char* name) {
  static_assert(names(K::kState) <= kMaxState && names(K::kConstants) <= kMaxConstants, "raise the limit in kernel.h");
  static_assert(sizeof(K) == names(K::kConstants) * sizeof(float), "a kernel holds its constants and nothing else");
  return {name, K::kState, K::kConstants, &run<K>};
}
}  // namespace ISA
