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

template <class K>
void run(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  if (!isPlain(pass, span)) return walk(pass, extrasOf(pass, span), kernel, span);
  if constexpr (kPrefetches<K>) {
    if (span.prefetch) return walk(pass, kPrefetch, kernel, span);
  }
  walk(pass, 0, kernel, span);
}

#ifdef HAS_FMA
/// The same bits as `run`.
template <bool kOnlyNeutral, size_t kOneOf, class K>
void runWithFma(const Pass& pass, const float* constants, const Span& span) {
  const bool isNeutral = pass.gradScale == 1 && pass.decayFactor == 1;
  if (span.length < kMinForRoots || !isPlain(pass, span) || (kOnlyNeutral && !isNeutral)) {
    return run<K>(pass, constants, span);
  }
  const K kernel = fromConstants<K>(constants);
  const size_t ahead = untilAligned(span.param), behind = (span.length - ahead) % (kOneOf * Vec::kLanes);
  const Span blocks = partOf<K>(span, ahead, span.length - ahead - behind);
  if (ahead > 0) run<K>(pass, constants, partOf<K>(span, 0, ahead));
  if (isNeutral) {
    walkBlocks<kOneOf>(kNeutralPass, kernel, blocks);
  } else if (!kOnlyNeutral) {
    walkBlocks<kOneOf>(pass, kernel, blocks);
  }
  if (behind > 0) run<K>(pass, constants, partOf<K>(span, span.length - behind, behind));
}
#endif

template <class K>
void runRow(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  if (isPlain(pass, span)) {
    walkRow(pass, 0, kernel, span);
  } else {
    walkRow(pass, extrasOf(pass, span), kernel, span);
  }
}

/// Updates one row after the other, with `kernelRun` of struct Kernel: less code where speed matters less.
template <class K>
inline void runEach(decltype(Kernel::run) kernelRun, const Pass& pass, const float* constants, const Span& table,
                    const RowList& list) {
  for (size_t n = 0; n < list.count; ++n) {
    prefetchAhead<K>(table, list, n, list.length, StateIndices<K>());
    kernelRun(pass, constants, spanOf<true, K>(table, list.rows[n], list.length, StateIndices<K>()));
  }
}

/// The usual lengths of a row have code of their own, where vectors are long enough to gain from it.
constexpr bool kHasRowLengths = Vec::kLanes >= 8;

/// Whether a kernel has unrolled code for the usual lengths. Rows with more state than this wait for memory, and their
/// code is the largest.
template <class K>
constexpr bool kIsUnrolled = countNames(K::kState) <= 2;
template <class K>
constexpr bool kIsUnrolledPerRow = countNames(K::kState) == 1;

template <class K>
void runSparse(const Pass& pass, const float* constants, const Span& table, const RowList& list) {
  if (Vec::kLanes > 1 && list.length == 1 && table.ema == nullptr) {
    return runPacked(&run<K>, countNames(K::kState), pass, constants, table, list);
  }
  if constexpr (kHasRowLengths) {
    const K kernel = fromConstants<K>(constants);
    if (isPlain(pass, table)) {
      if constexpr (!kIsUnrolled<K>) return walkRows<0>(pass, kernel, table, list);
      switch (list.length) {
        case 16:
          return walkRows<16>(pass, kernel, table, list);
        case 32:
          return walkRows<32>(pass, kernel, table, list);
        case 64:
          return walkRows<64>(pass, kernel, table, list);
        case 128:
          return walkRows<128>(pass, kernel, table, list);
        default:
          return walkRows<0>(pass, kernel, table, list);
      }
    }
  }
  runEach<K>(&run<K>, pass, constants, table, list);
}

template <class K>
void runSparsePerRow(const Pass& pass, const float* constants, const Span& table, const RowList& list) {
  if constexpr (kHasRowLengths) {
    const K kernel = fromConstants<K>(constants);
    if (isPlain(pass, table)) {
      if constexpr (!kIsUnrolledPerRow<K>) return walkRowsTogether<0>(pass, kernel, table, list);
      switch (list.length) {
        case 16:
          return walkRowsTogether<16>(pass, kernel, table, list);
        case 32:
          return walkRowsTogether<32>(pass, kernel, table, list);
        case 64:
          return walkRowsTogether<64>(pass, kernel, table, list);
        case 128:
          return walkRowsTogether<128>(pass, kernel, table, list);
        default:
          return walkRowsTogether<0>(pass, kernel, table, list);
      }
    }
  }
  runEach<K>(&runRow<K>, pass, constants, table, list);
}

template <class K>
void runHalves(const Pass& pass, const float* constants, const Span& span, size_t element) {
  if (!isPlain(pass, span)) return runPieces(&runHalves<K>, pass, constants, span, element);
  walkHalves(pass, fromConstants<K>(constants), span, static_cast<uint32_t>(element), StateIndices<K>());
}

template <class K>
void measure(const Pass& pass, const float* constants, const Span& span, double* sums) {
  constexpr unsigned kOfRow = rowStates<K>(StateIndices<K>());
  if (extrasOf(pass) != 0) return measurePieces(&measure<K>, kOfRow, pass, constants, span, sums);
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
  *span.state[0] = kernel.accumulate(meanSquare(pass, span), *span.state[0]);
}

inline void addColumnSquares(const Pass& pass, const Span& span, size_t rows, size_t columns, double* sums) {
  const unsigned extras = extrasOf(pass);
  if (extras == 0) return walkColumns(pass, 0, span, rows, columns, sums);
  walkColumns(pass, extras, span, rows, columns, sums);
}

template <class K>
void accumulateColumns(const float* constants, const double* sums, size_t rows, float* state, size_t length) {
  const K kernel = fromConstants<K>(constants);
  for (size_t i = 0; i < length; ++i) {
    state[i] = kernel.accumulate(static_cast<float>(sums[i] / static_cast<double>(rows)), state[i]);
  }
}

template <class K>
void resolveMean(float* constants, double mean) {
  K kernel = fromConstants<K>(constants);
  kernel.resolveMean(mean);
  toConstants(kernel, constants);
}

template <class K>
void runRowOfMaxima(const Pass& pass, const float* constants, const Span& span) {
  const K kernel = fromConstants<K>(constants);
  if (isPlain(pass, span)) {
    walkRowOfMaxima(pass, 0, kernel, span, StateIndices<K>());
  } else {
    walkRowOfMaxima(pass, extrasOf(pass, span), kernel, span, StateIndices<K>());
  }
}

template <class K>
void sum(const Pass& pass, const float* constants, const Span& span, double* sums) {
  constexpr unsigned kOfRow = rowStates<K>(StateIndices<K>());
  if (extrasOf(pass) != 0) return measurePieces(&sum<K>, kOfRow, pass, constants, span, sums);
  walkSums(pass, fromConstants<K>(constants), span, sums, StateIndices<K>());
}

template <class K>
void decide(double* numbers, const double* sums) {
  typename K::Numbers values;
  memcpy(&values, numbers, sizeof values);
  values.decide(sums);
  memcpy(numbers, &values, sizeof values);
}

template <class K>
void resolveNumbers(float* constants, const double* numbers) {
  K kernel = fromConstants<K>(constants);
  typename K::Numbers values;
  memcpy(&values, numbers, sizeof values);
  kernel.resolve(values);
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
  kernel.numbers = "";
  for (size_t s = 0; s < stateCount; ++s) kernel.layout[s] = layoutOf<K>(s, 0);
  kernel.run = run;
  return kernel;
}

/// An element-wise walk whose class refuses state in bfloat16: see `float32Because` in lib/core/state-block.ts.
template <class K>
constexpr Kernel entryInFloat32(const char* name) {
  Kernel kernel = entryOf<K>(name, &run<K>);
  kernel.runSparse = &runSparse<K>;
  return kernel;
}

/// A walk: element-wise.
template <class K>
constexpr Kernel entry(const char* name) {
  Kernel kernel = entryInFloat32<K>(name);
  if constexpr (countNames(K::kState) > 0) kernel.runHalves = &runHalves<K>;
  return kernel;
}

/// A walk that may compute the roots of one of so many vectors with FMA: with AVX2, and with AVX-512. 0: never.
template <class K, size_t kOneOf256, size_t kOneOf512>
constexpr Kernel entryWithRoots(const char* name) {
  static_assert(elementStates<K>() == countNames(K::kState), "a part of a span has a part of each state");
  Kernel kernel = entry<K>(name);
#ifdef HAS_FMA
  constexpr size_t kOneOf = Vec::kLanes == 8 ? kOneOf256 : kOneOf512;
  if constexpr (kOneOf > 0) {
    kernel.runWithFma[0] = &runWithFma<true, kOneOf, K>;
    kernel.runWithFma[1] = &runWithFma<false, kOneOf, K>;
  }
#endif
  return kernel;
}

/// A walk with state numbers per matrix row.
template <class K>
constexpr Kernel entryPerRow(const char* name) {
  static_assert(layoutOf<K>(elementStates<K>(), 0) == kRow, "the state ends with numbers per row");
  Kernel kernel = entryOf<K>(name, &runRow<K>);
  kernel.runSparse = &runSparsePerRow<K>;
  kernel.perRow = true;
  return kernel;
}

/// A measured walk: needs two norms of the whole tensor first.
template <class K>
constexpr Kernel entryWithNorms(const char* name) {
  Kernel kernel = entryOf<K>(name, &run<K>);
  kernel.measure = &measure<K>;
  kernel.resolve = &resolve<K>;
  return kernel;
}

/// A measured walk: needs numbers, computed from sums over all tensors of a scope, first.
template <class K>
constexpr Kernel entryWithNumbers(const char* name) {
  constexpr size_t numberCount = countNames(K::Numbers::kNames);
  static_assert(numberCount <= kMaxNumbers && K::kSums <= kMaxSums, "raise the limit in kernel.h");
  static_assert(sizeof(typename K::Numbers) == numberCount * sizeof(double), "Numbers holds numbers and nothing else");
  Kernel kernel = entryOf<K>(name, &run<K>);
  kernel.numbers = K::Numbers::kNames;
  kernel.numberCount = numberCount;
  kernel.sumCount = K::kSums;
  kernel.sum = &sum<K>;
  kernel.decide = &decide<K>;
  kernel.resolveNumbers = &resolveNumbers<K>;
  return kernel;
}

/// A measured walk with state per matrix row and per matrix column.
template <class K>
constexpr Kernel entryFactored(const char* name) {
  static_assert(layoutOf<K>(0, 0) == kRow && layoutOf<K>(1, 0) == kColumn, "the state starts with rows, then columns");
  Kernel kernel = entryWithNorms<K>(name);
  kernel.accumulateRow = &accumulateRow<K>;
  kernel.addColumnSquares = &addColumnSquares;
  kernel.accumulateColumns = &accumulateColumns<K>;
  kernel.resolveMean = &resolveMean<K>;
  return kernel;
}

/// A walk with state per matrix row and per matrix column that are the maxima of a number of each element.
template <class K>
constexpr Kernel entryWithMaxima(const char* name) {
  static_assert(layoutOf<K>(0, 0) == kRow && layoutOf<K>(1, 0) == kColumn, "the state starts with rows, then columns");
  static_assert(countNames(K::kState) < kMaxState, "the next maxima of the columns lie behind the state");
  Kernel kernel = entryOf<K>(name, &runRowOfMaxima<K>);
  kernel.layout[kernel.stateCount] = kColumn;
  kernel.perRow = kernel.hasMaxima = true;
  return kernel;
}

template <class K>
void fill(const Pass& pass, const float* constants, const Span& span, float* matrix) {
  walkFill(pass, fromConstants<K>(constants), span, matrix, typename Count<elementStates<K>()>::type());
}

template <class K>
float* transform(float* constants, const Matrix& matrix, const MatrixOps& ops) {
  K kernel = fromConstants<K>(constants);
  float* const result = kernel.transform(constants, matrix, ops);
  toConstants(kernel, constants);
  return result;
}

/// A matrix kernel: two walks, and products of the whole matrix between them.
template <class K>
constexpr Kernel entryOfMatrix(const char* name) {
  Kernel kernel = entryOf<K>(name, &run<SecondWalk<K>>);
  kernel.fill = &fill<K>;
  kernel.transform = &transform<K>;
  kernel.matrixMemory = &K::matrixMemory;
  return kernel;
}

/// A matrix kernel with state of other lengths than the param.
template <class K>
constexpr Kernel entryWithFactors(const char* name) {
  Kernel kernel = entryOfMatrix<K>(name);
  kernel.ownLength = &K::ownLength;
  return kernel;
}
}  // namespace ISA
