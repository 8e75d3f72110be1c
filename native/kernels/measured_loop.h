#pragma once
// Walks that measure the gradient before they apply it: mean squares of rows and columns, norms of whole tensors, and
// sums of products over many tensors.
namespace ISA {
/// Writes the gradient that the formula sees to `out`.
ALWAYS_INLINE void storeGrad(const Pass& pass, const float* param, const float* grad, size_t length, float* out) {
  const unsigned extras = extrasOf(pass);
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) {
    prologue(pass, extras, Vec::load(param + i), Vec::load(grad + i)).store(out + i);
  }
  const size_t rest = length - i;
  if (rest > 0) prologue(pass, extras, Vec::load(param + i, rest), Vec::load(grad + i, rest)).store(out + i, rest);
}

/// Mean square of the gradient of one matrix row. All kernels share its code.
NEVER_INLINE inline float meanSquare(const Pass& pass, const Span& row) {
  const bool isNeutral = pass.gradScale == 1 && extrasOf(pass) == 0;
  float piece[kPiece];
  double sum = 0;
  for (size_t begin = 0; begin < row.length; begin += kPiece) {
    const size_t length = row.length - begin < kPiece ? row.length - begin : kPiece;
    if (!isNeutral) storeGrad(pass, row.param + begin, row.grad + begin, length, piece);
    sum = sum + sumSquares(isNeutral ? row.grad + begin : piece, length);
  }
  return static_cast<float>(sum / static_cast<double>(row.length));
}

/// The number of state buffers with one number per element. Those with one per matrix row stand behind them.
template <class K>
constexpr size_t elementStates() {
  size_t count = 0;
  while (count < countNames(K::kState) && layoutOf<K>(count, 0) == kElement) ++count;
  return count;
}

/// Updates the state numbers of one matrix row. The kernel calls `mean` if it needs the mean square of the gradient.
template <class K, class Mean, size_t... S>
ALWAYS_INLINE void updateRow(const K& kernel, const Span& span, Mean mean, Indices<S...>) {
  kernel.updateRow(mean, *span.state[elementStates<K>() + S]...);
}
template <class K>
using RowStates = typename Count<countNames(K::kState) - elementStates<K>()>::type;

/// Updates one matrix row: first its state numbers, because the formula reads them.
template <class K>
ALWAYS_INLINE void walkRow(const Pass pass, const unsigned extras, const K kernel, const Span span) {
  updateRow(
      kernel, span, [&] { return meanSquare(pass, span); }, RowStates<K>());
  walk(pass, extras, kernel, span);
}

/// Adds the squares of the gradient to the sums of the columns, row by row.
ALWAYS_INLINE void walkColumns(const Pass pass, const unsigned extras, const Span span, size_t rows, size_t columns,
                               double* sums) {
  // A part of a row ends before the CPU has found out that it should read ahead. So the same part of a later row is
  // prefetched. Whole rows are in the cache already.
  constexpr size_t kLater = 2;
  const bool isPart = kCanPrefetch && span.length < columns;
  for (size_t row = 0; row < rows; ++row) {
    const float* const param = span.param + row * columns;
    const float* const grad = span.grad + row * columns;
    size_t i = 0;
    for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) {
      if (isPart && i % kLine == 0) prefetch<kRead>(after(grad, kLater * columns + i));
      const Doubles g(prologue(pass, extras, Vec::load(param + i), Vec::load(grad + i)));
      for (size_t part = 0; part < Vec::kLanes / Double::kLanes; ++part) {
        double* const sum = sums + i + part * Double::kLanes;
        (Double::load(sum) + g.parts[part] * g.parts[part]).store(sum);
      }
    }
    if (i == span.length) continue;
    const size_t rest = span.length - i;
    float last[Vec::kLanes];
    prologue(pass, extras, Vec::load(param + i, rest), Vec::load(grad + i, rest)).store(last);
    for (size_t lane = 0; lane < rest; ++lane) {
      sums[i + lane] = sums[i + lane] + static_cast<double>(last[lane]) * static_cast<double>(last[lane]);
    }
  }
}

/// Updates one matrix row and the maximum that its state is. Raises the next maxima of the columns, which lie behind
/// the state: one walk, because the formula reads the maxima from before the step. No NaN is a maximum.
template <class K, size_t... S>
ALWAYS_INLINE void walkRowOfMaxima(const Pass pass, const unsigned extras, const K kernel, const Span span,
                                   Indices<S...>) {
  const State<K, Indices<S...>> state(span);
  float* const next = span.state[sizeof...(S)];
  const Vec rowMax(*span.state[0]);
  Vec most = max(rowMax, Vec(0.0f));  // a NaN gradient must not lower it
  float lanes[Vec::kLanes];
  // Returns the numbers that the state of the row and of the columns are the maxima of.
  const auto updateMaxima = [&](auto memory, size_t i) INLINE_LAMBDA {
    const Vec grad = prologue(pass, extras, memory.load(span.param + i), memory.load(span.grad + i));
    const Vec number = kernel.accumulate(grad, rowMax, memory.load(span.state[1] + i));
    const Vec raised = max(number, memory.load(next + i));
    updateVector(memory, pass, extras, kernel, span, state, i);
    memory.store(raised, next + i);
    return number;
  };
  // The lanes that a part does not load may have any number.
  float result = 0;
  const auto updatePart = [&](size_t i, size_t count) INLINE_LAMBDA {
    updateMaxima(Part{count}, i).store(lanes);
    for (size_t lane = 0; lane < count; ++lane) result = lanes[lane] > result ? lanes[lane] : result;
  };
  size_t i = 0;
  if (Vec::kLanes > 4 && span.length >= kMinAligned && (i = untilAligned(span.param)) > 0) updatePart(0, i);
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) most = max(updateMaxima(Whole(), i), most);
  if (i < span.length) updatePart(i, span.length - i);
  most.store(lanes);
  for (const float lane : lanes) result = lane > result ? lane : result;
  *span.state[0] = result;
}

/// Sum of products of two streams of floats, with the bits of dot.
class ProductSum {
 public:
  /// Adds the products of one vector, whose first element is in virtual lane `lane`: a constant, so that the sums stay
  /// in registers.
  ALWAYS_INLINE void add(size_t lane, Vec x, Vec y) {
    const Doubles a(x), b(y);
    constexpr size_t kParts = Vec::kLanes / Double::kLanes;
    for (size_t part = 0; part < kParts; ++part) {
      Double& sum = sums_[lane / Double::kLanes + part];
      sum = sum + a.parts[part] * b.parts[part];
    }
  }
  /// Adds the last products, fewer than kVirtualLanes, and returns the sum.
  ALWAYS_INLINE double finish(const float* x, const float* y, size_t length) {
    double lanes[kVirtualLanes];
    for (size_t r = 0; r < kRegisters; ++r) sums_[r].store(lanes + r * Double::kLanes);
    for (size_t i = 0; i < length; ++i) {
      lanes[i] = lanes[i] + static_cast<double>(x[i]) * static_cast<double>(y[i]);
    }
    return foldLanes(lanes);
  }

 private:
  static constexpr size_t kRegisters = kVirtualLanes / Double::kLanes;
  Double sums_[kRegisters];
};

/// Adds the products of one vector, whose first element is `i`, in the virtual lanes from kLane on.
template <size_t kLane, class Measure>
ALWAYS_INLINE void addVector(ProductSum* products, Measure measure, size_t i) {
  measure(Whole(), i, [&](size_t k, Vec x, Vec y) INLINE_LAMBDA { products[k].add(kLane, x, y); });
}

/// The vectors of kVirtualLanes elements.
using VectorIndices = Count<kVirtualLanes / Vec::kLanes>::type;

/// Adds sums of products over `length` elements to `sums`, piece by piece. measure(memory, i, sum) calls sum(k, x, y)
/// with the factors of one vector, whose first element is `i`.
template <size_t kSums, class Measure, size_t... V>
ALWAYS_INLINE void sumPieces(size_t length, double* sums, Measure measure, Indices<V...>) {
  for (size_t begin = 0; begin < length; begin += kPiece) {
    const size_t end = length - begin < kPiece ? length : begin + kPiece;
    ProductSum products[kSums];
    size_t i = begin;
    for (; i + kVirtualLanes <= end; i += kVirtualLanes) {
      (addVector<V * Vec::kLanes>(products, measure, i + V * Vec::kLanes), ...);
    }
    float x[kSums][kVirtualLanes], y[kSums][kVirtualLanes];
    const auto measureRest = [&](auto memory, size_t lane) INLINE_LAMBDA {
      measure(memory, i + lane, [&](size_t k, Vec first, Vec second) INLINE_LAMBDA {
        memory.store(first, x[k] + lane);
        memory.store(second, y[k] + lane);
      });
    };
    size_t lane = 0;
    for (; i + lane + Vec::kLanes <= end; lane += Vec::kLanes) measureRest(Whole(), lane);
    if (i + lane < end) measureRest(Part{end - i - lane}, lane);
    for (size_t k = 0; k < kSums; ++k) sums[k] = sums[k] + products[k].finish(x[k], y[k], end - i);
  }
}

/// For types alone.
template <class T>
T valueOf();
struct NoSum {};

/// Whether the kernel's `measure` takes the state by value: then the state stays as it is, and is not written. `More`
/// are the arguments before the state.
template <class K, class... More, size_t... S>
constexpr auto keepsState(Indices<S...>, int)
    -> decltype(valueOf<K>().measure(valueOf<Vec>(), valueOf<Vec>(), valueOf<More>()..., (void(S), valueOf<Vec>())...),
                bool()) {
  return true;
}
template <class K, class... More, size_t... S>
constexpr bool keepsState(Indices<S...>, long) {
  return false;
}

/// Adds the sums of squares of two vectors to `sums`. They are the param and the gradient, unless the kernel's
/// `measure` replaces them. `measure` may also change the state. The pass only scales.
template <class K, size_t... S>
ALWAYS_INLINE void walkNorms(const Pass pass, const K kernel, const Span span, double* sums, Indices<S...>) {
  constexpr bool kKeepsState = keepsState<K, Vec&, Vec&>(Indices<S...>(), 0);
  const State<K, Indices<S...>> state(span);
  const auto measure = [&](auto memory, size_t i, auto sum) INLINE_LAMBDA {
    const Vec param = memory.load(span.param + i);
    const Vec grad = prologue(pass, 0, param, memory.load(span.grad + i));
    Vec values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i)..., Vec(0.0f)};
    Vec first = param, second = grad;
    kernel.measure(param, grad, first, second, values[S]...);
    if constexpr (!kKeepsState) {
      (state.template store<S>(memory, values[S], span, i), ...);
    }
    sum(0, first, first);
    sum(1, second, second);
  };
  sumPieces<2>(span.length, sums, measure, VectorIndices());
}

/// Adds the sums of products that the kernel's `measure` names to `sums`: it calls sum(k, x, y) for each of its kSums
/// sums. It may also change the state. The pass only scales.
template <class K, size_t... S>
ALWAYS_INLINE void walkSums(const Pass pass, const K kernel, const Span span, double* sums, Indices<S...>) {
  constexpr bool kKeepsState = keepsState<K, NoSum>(Indices<S...>(), 0);
  const State<K, Indices<S...>> state(span);
  const auto measure = [&](auto memory, size_t i, auto sum) INLINE_LAMBDA {
    const Vec param = memory.load(span.param + i);
    const Vec grad = prologue(pass, 0, param, memory.load(span.grad + i));
    Vec values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i)..., Vec(0.0f)};
    kernel.measure(param, grad, sum, values[S]...);
    if constexpr (!kKeepsState) {
      (state.template store<S>(memory, values[S], span, i), ...);
    }
  };
  sumPieces<K::kSums>(span.length, sums, measure, VectorIndices());
}

/// The states with one number per matrix row, as bits.
template <class K, size_t... S>
constexpr unsigned rowStates(Indices<S...>) {
  return (0u | ... | (layoutOf<K>(S, 0) == kRow ? 1u << S : 0u));
}

/// For passes that clip or decay. It writes the gradients that the formula sees to a copy in the nearest cache, and
/// lets `measure` read that. So a kernel needs one loop, for passes that only scale. A bit of `ofRow` says that a state
/// has one number per matrix row.
inline void measurePieces(decltype(Kernel::measure) measure, unsigned ofRow, const Pass& pass, const float* constants,
                          const Span& span, double* sums) {
  alignas(64) float grads[kPiece];
  const Pass rest = withoutPrologue(pass);
  for (size_t begin = 0; begin < span.length; begin += kPiece) {
    Span piece = span;
    piece.length = span.length - begin < kPiece ? span.length - begin : kPiece;
    piece.param = span.param + begin;
    piece.grad = grads;
    for (size_t s = 0; s < kMaxState; ++s) {
      if (span.state[s] != nullptr && (ofRow >> s & 1) == 0) piece.state[s] = span.state[s] + begin;
    }
    storeGrad(pass, piece.param, span.grad + begin, piece.length, grads);
    measure(rest, constants, piece, sums);
  }
}
}  // namespace ISA
