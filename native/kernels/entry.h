#pragma once
// Turns a kernel struct into its row of the table: instantiates the functions of `struct Kernel` for it.
namespace ISA {
/// The kernel struct is the array of its constants.
template <class K>
ALWAYS_INLINE K fromConstants(const float* constants) {
  K kernel;
  memcpy(&kernel, constants, sizeof kernel);
  return kernel;
}

template <class K>
ALWAYS_INLINE void toConstants(const K& kernel, float* constants) {
  memcpy(constants, &kernel, sizeof kernel);
}

/// Whether the walk can omit all but the scale: the common case.
inline bool isPlain(const Pass& pass, const Span& span) {
  return pass.clipValue == INFINITY && pass.l2 == 0 && !span.zeroGrad && span.ema == nullptr;
}

template <class K>
void run(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  if (isPlain(pass, span)) {
    walk<false>(pass, kernel, span);
  } else {
    walk<true>(pass, kernel, span);
  }
}

template <class K>
void runRow(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  if (isPlain(pass, span)) {
    walkRow<false>(pass, kernel, span);
  } else {
    walkRow<true>(pass, kernel, span);
  }
}

template <class K>
void measure(const Pass& pass, const float* constants, const Span& span, double* sums) {
  walkNorms(pass, fromConstants<K>(constants), span, sums, StateIndices<K>());
}

template <class K>
void resolve(float* constants, double first, double second, size_t length) {
  K kernel = fromConstants<K>(constants);
  kernel.resolve(first, second, static_cast<double>(length));
  toConstants(kernel, constants);
}

template <class K>
void accumulateRow(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  *span.state[0] = kernel.accumulate(meanSquare<true>(pass, span), *span.state[0]);
}

template <class K>
void accumulateColumns(const Pass& pass, const float* constants, const Span& span, size_t rows, size_t columns) {
  walkColumns(pass, fromConstants<K>(constants), span, rows, columns);
}

template <class K>
void resolveMean(float* constants, double mean) {
  K kernel = fromConstants<K>(constants);
  kernel.resolveMean(mean);
  toConstants(kernel, constants);
}

template <class K>
constexpr Kernel entryOf(const char* name, decltype(Kernel::run) run) {
  constexpr size_t stateCount = countNames(K::kState), constantCount = countNames(K::kConstants);
  static_assert(stateCount <= kMaxState && constantCount <= kMaxConstants, "raise the limit in kernel.h");
  static_assert(sizeof(K) == constantCount * sizeof(float), "a kernel holds its constants and nothing else");
  Kernel kernel = {};
  kernel.name = name;
  kernel.state = K::kState;
  kernel.constants = K::kConstants;
  kernel.stateCount = stateCount;
  kernel.constantCount = constantCount;
  for (size_t s = 0; s < stateCount; ++s) kernel.layout[s] = layoutOf<K>(s, 0);
  kernel.run = run;
  return kernel;
}

/// A walk: element-wise.
template <class K>
constexpr Kernel entry(const char* name) {
  return entryOf<K>(name, &run<K>);
}

/// A walk with one state number per matrix row.
template <class K>
constexpr Kernel entryPerRow(const char* name) {
  static_assert(countNames(K::kState) == 1 && layoutOf<K>(0, 0) == kRow, "the state is one number per row");
  Kernel kernel = entryOf<K>(name, &runRow<K>);
  kernel.perRow = true;
  return kernel;
}

/// A measured walk: needs two norms of the whole tensor first.
template <class K>
constexpr Kernel entryWithNorms(const char* name) {
  Kernel kernel = entry<K>(name);
  kernel.measure = &measure<K>;
  kernel.resolve = &resolve<K>;
  return kernel;
}

/// A measured walk with state per matrix row and per matrix column.
template <class K>
constexpr Kernel entryFactored(const char* name) {
  static_assert(layoutOf<K>(0, 0) == kRow && layoutOf<K>(1, 0) == kColumn, "the state starts with rows, then columns");
  Kernel kernel = entryWithNorms<K>(name);
  kernel.accumulateRow = &accumulateRow<K>;
  kernel.accumulateColumns = &accumulateColumns<K>;
  kernel.resolveMean = &resolveMean<K>;
  return kernel;
}
}  // namespace ISA
