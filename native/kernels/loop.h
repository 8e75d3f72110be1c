#pragma once
// The walk over memory that every kernel shares: the common prologue, the formula, the common epilogue.
#include <string.h>
namespace ISA {
// GCC leaves the body out of line for kernels of three states, which costs a third of the time in cache.
#ifdef _MSC_VER
#define INLINE __forceinline
#else
#define INLINE inline __attribute__((always_inline))
#endif

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

// What a partial sum covers is a part of the result's definition: the JavaScript reference has the same number.
constexpr size_t kPiece = 1024;

/// What a walk loads and stores at a time: whole vectors, then what is left.
struct Whole {
  INLINE Vec load(const float* p) const { return Vec::load(p); }
  INLINE void store(Vec v, float* p) const { v.store(p); }
};
struct Part {
  size_t lanes;
  INLINE Vec load(const float* p) const { return Vec::load(p, lanes); }
  INLINE void store(Vec v, float* p) const { v.store(p, lanes); }
};

/// The gradient that a formula sees. The plain step (kAll false) leaves out what Pass says is unused.
template <bool kAll>
INLINE Vec prologue(const Pass& pass, Vec param, Vec grad) {
  grad = Vec(pass.gradScale) * grad;
  if (kAll) {
    if (pass.clipValue != INFINITY) grad = min(Vec(pass.clipValue), max(Vec(-pass.clipValue), grad));
    if (pass.l2 != 0) grad = grad + Vec(pass.l2) * param;
  }
  return grad;
}

template <bool kAll, class M>
INLINE void epilogue(M memory, const Pass& pass, const Span& span, size_t i, Vec before, Vec param) {
  memory.store(param, span.param + i);
  if (kAll) {
    if (span.zeroGrad) memory.store(Vec(0.0f), span.grad + i);
    if (span.ema != nullptr) {
      const Vec ema = pass.emaStart != 0 ? before : memory.load(span.ema + i);
      memory.store(ema + Vec(pass.emaRate) * (param - ema), span.ema + i);
    }
  }
}

template <class K>
constexpr auto layoutOf(size_t s, int) -> decltype(K::kLayout[s] == kElement, Layout()) {
  return K::kLayout[s];
}
template <class K>
constexpr Layout layoutOf(size_t, long) {
  return kElement;
}

/// The numbers that a whole row shares, read once for its span.
template <class K, class I>
struct Shared;
template <class K, size_t... S>
struct Shared<K, Indices<S...>> {
  float numbers[sizeof...(S) + 1];
  INLINE explicit Shared(const Span& span) : numbers{(layoutOf<K>(S, 0) == kRow ? *span.state[S] : 0.0f)..., 0.0f} {}
  template <size_t s, class M>
  INLINE Vec load(M memory, const Span& span, size_t i) const {
    return layoutOf<K>(s, 0) == kRow ? Vec(numbers[s]) : memory.load(span.state[s] + i);
  }
  /// What elements share changes before their walk, not in it.
  template <size_t s, class M>
  INLINE void store(M memory, Vec state, const Span& span, size_t i) const {
    if (layoutOf<K>(s, 0) == kElement) memory.store(state, span.state[s] + i);
  }
};

/// One vector of elements.
template <bool kAll, class M, class K, size_t... S>
INLINE void at(M memory, const Pass& pass, const K& kernel, const Span& span, const Shared<K, Indices<S...>>& shared,
               size_t i) {
  const Vec before = memory.load(span.param + i);
  const Vec grad = prologue<kAll>(pass, before, memory.load(span.grad + i));
  Vec state[sizeof...(S) + 1] = {shared.template load<S>(memory, span, i)..., Vec(0.0f)};
  Vec param = Vec(pass.decayFactor) * before;
  kernel.update(param, grad, state[S]...);
  (shared.template store<S>(memory, state[S], span, i), ...);
  epilogue<kAll>(memory, pass, span, i, before, param);
}

// The arguments are copies: stores through span's pointers can't change them, so they stay in registers.
template <bool kAll, class K>
INLINE void walk(const Pass pass, const K kernel, const Span span) {
  const Shared<K, typename Count<names(K::kState)>::type> shared(span);
  size_t i = 0;
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) at<kAll>(Whole(), pass, kernel, span, shared, i);
  if (i < span.length) at<kAll>(Part{span.length - i}, pass, kernel, span, shared, i);
}

/// Writes the gradient as a formula sees it.
template <bool kAll>
INLINE void see(const Pass& pass, const float* param, const float* grad, size_t length, float* seen) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) {
    prologue<kAll>(pass, Vec::load(param + i), Vec::load(grad + i)).store(seen + i);
  }
  const size_t rest = length - i;
  if (rest > 0) prologue<kAll>(pass, Vec::load(param + i, rest), Vec::load(grad + i, rest)).store(seen + i, rest);
}

/// The gradient's mean square over one row.
template <bool kAll>
INLINE float meanSquare(const Pass& pass, const Span& row) {
  float piece[kPiece];
  double sum = 0;
  for (size_t begin = 0; begin < row.length; begin += kPiece) {
    const size_t length = row.length - begin < kPiece ? row.length - begin : kPiece;
    see<kAll>(pass, row.param + begin, row.grad + begin, length, piece);
    sum = sum + sumSquares(piece, length);
  }
  return static_cast<float>(sum / static_cast<double>(row.length));
}

/// One row, twice: its gradient's mean square goes into the state before the formula sees it.
template <bool kAll, class K>
INLINE void walkRow(const Pass pass, const K kernel, const Span span) {
  *span.state[0] = kernel.accumulate(meanSquare<kAll>(pass, span), *span.state[0]);
  walk<kAll>(pass, kernel, span);
}

/// The first walk of a kernel that needs norms: `measure` may change the state, and says of what the squares are
/// summed.
template <class K, size_t... S>
INLINE void walkNorms(const Pass pass, const K kernel, const Span span, double* sums, Indices<S...>) {
  const Shared<K, Indices<S...>> shared(span);
  float firsts[kPiece], seconds[kPiece];
  for (size_t begin = 0; begin < span.length; begin += kPiece) {
    const size_t length = span.length - begin < kPiece ? span.length - begin : kPiece;
    const auto one = [&](auto memory, size_t i) {
      const Vec param = memory.load(span.param + begin + i);
      const Vec grad = prologue<true>(pass, param, memory.load(span.grad + begin + i));
      Vec state[sizeof...(S) + 1] = {shared.template load<S>(memory, span, begin + i)..., Vec(0.0f)};
      Vec first = param, second = grad;
      kernel.measure(param, grad, state[S]..., first, second);
      (shared.template store<S>(memory, state[S], span, begin + i), ...);
      memory.store(first, firsts + i);
      memory.store(second, seconds + i);
    };
    size_t i = 0;
    for (; i + Vec::kLanes <= length; i += Vec::kLanes) one(Whole(), i);
    if (i < length) one(Part{length - i}, i);
    sums[0] = sums[0] + sumSquares(firsts, length);
    sums[1] = sums[1] + sumSquares(seconds, length);
  }
}

inline bool isPlain(const Pass& pass, const Span& span) {
  return pass.clipValue == INFINITY && pass.l2 == 0 && !span.zeroGrad && span.ema == nullptr;
}

template <class K>
void run(const Pass& pass, const float* constants, const Span& span) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  if (isPlain(pass, span)) {
    walk<false>(pass, kernel, span);
  } else {
    walk<true>(pass, kernel, span);
  }
}

template <class K>
void runRow(const Pass& pass, const float* constants, const Span& span) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  if (isPlain(pass, span)) {
    walkRow<false>(pass, kernel, span);
  } else {
    walkRow<true>(pass, kernel, span);
  }
}

template <class K>
void measure(const Pass& pass, const float* constants, const Span& span, double* sums) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  walkNorms(pass, kernel, span, sums, typename Count<names(K::kState)>::type());
}

template <class K>
void resolve(float* constants, double first, double second, size_t length) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  kernel.resolve(first, second, static_cast<double>(length));
  memcpy(constants, &kernel, sizeof kernel);
}

template <class K>
void accumulateRow(const Pass& pass, const float* constants, const Span& span) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  *span.state[0] = kernel.accumulate(meanSquare<true>(pass, span), *span.state[0]);
}

template <class K>
void accumulateColumns(const Pass& pass, const float* constants, const Span& span, size_t rows, size_t columns) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  float seen[kColumnGroup];
  double sums[kColumnGroup] = {};
  for (size_t row = 0; row < rows; ++row) {
    see<true>(pass, span.param + row * columns, span.grad + row * columns, span.length, seen);
    for (size_t i = 0; i < span.length; ++i) {
      sums[i] = sums[i] + static_cast<double>(seen[i]) * static_cast<double>(seen[i]);
    }
  }
  for (size_t i = 0; i < span.length; ++i) {
    float& state = span.state[1][i];
    state = kernel.accumulate(static_cast<float>(sums[i] / static_cast<double>(rows)), state);
  }
}

template <class K>
void resolveMean(float* constants, double mean) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  kernel.resolveMean(mean);
  memcpy(constants, &kernel, sizeof kernel);
}

template <class K>
constexpr Kernel entryOf(const char* name, bool perRow, decltype(Kernel::run) run) {
  static_assert(names(K::kState) <= kMaxState && names(K::kConstants) <= kMaxConstants, "raise the limit in kernel.h");
  static_assert(sizeof(K) == names(K::kConstants) * sizeof(float), "a kernel holds its constants and nothing else");
  Kernel kernel = {name, K::kState, K::kConstants, {}, perRow, run, nullptr, nullptr, nullptr, nullptr, nullptr};
  for (size_t s = 0; s < names(K::kState); ++s) kernel.layout[s] = layoutOf<K>(s, 0);
  return kernel;
}

template <class K>
constexpr Kernel entry(const char* name) {
  return entryOf<K>(name, false, &run<K>);
}

template <class K>
constexpr Kernel entryPerRow(const char* name) {
  static_assert(names(K::kState) == 1 && layoutOf<K>(0, 0) == kRow, "one number a row");
  return entryOf<K>(name, true, &runRow<K>);
}

template <class K>
constexpr Kernel entryWithNorms(const char* name) {
  Kernel kernel = entryOf<K>(name, false, &run<K>);
  kernel.measure = &measure<K>;
  kernel.resolve = &resolve<K>;
  return kernel;
}

template <class K>
constexpr Kernel entryFactored(const char* name) {
  static_assert(layoutOf<K>(0, 0) == kRow && layoutOf<K>(1, 0) == kColumn, "rows, then columns");
  Kernel kernel = entryWithNorms<K>(name);
  kernel.accumulateRow = &accumulateRow<K>;
  kernel.accumulateColumns = &accumulateColumns<K>;
  kernel.resolveMean = &resolveMean<K>;
  return kernel;
}
#undef INLINE
}  // namespace ISA
