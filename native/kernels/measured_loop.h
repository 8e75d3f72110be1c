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
  float piece[kPiece];
  double sum = 0;
  for (size_t begin = 0; begin < row.length; begin += kPiece) {
    const size_t length = row.length - begin < kPiece ? row.length - begin : kPiece;
    storeGrad(pass, row.param + begin, row.grad + begin, length, piece);
    sum = sum + sumSquares(piece, length);
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

/// Accumulates the mean squares of a group of columns in their state. `span` is their part of the first matrix row.
template <class K>
ALWAYS_INLINE void walkColumns(const Pass& pass, const K& kernel, const Span& span, size_t rows, size_t columns) {
  float grad[kColumnGroup];
  double sums[kColumnGroup] = {};
  for (size_t row = 0; row < rows; ++row) {
    storeGrad(pass, span.param + row * columns, span.grad + row * columns, span.length, grad);
    for (size_t i = 0; i < span.length; ++i) {
      sums[i] = sums[i] + static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
    }
  }
  for (size_t i = 0; i < span.length; ++i) {
    float& state = span.state[1][i];
    state = kernel.accumulate(static_cast<float>(sums[i] / static_cast<double>(rows)), state);
  }
}

/// The number of an element that the state of its row and of its column are the maxima of. No NaN is a maximum.
template <class M, class K>
ALWAYS_INLINE Vec accumulated(M memory, const Pass& pass, unsigned extras, const K& kernel, const Span& span,
                              Vec rowMax, size_t begin, size_t column) {
  const size_t i = begin + column;
  const Vec grad = prologue(pass, extras, memory.load(span.param + i), memory.load(span.grad + i));
  return kernel.accumulate(grad, rowMax, memory.load(span.state[1] + column));
}

/// The maximum over one matrix row.
template <class K>
ALWAYS_INLINE float maxOfRow(const Pass& pass, const K& kernel, const Span& span) {
  const unsigned extras = extrasOf(pass);
  const Vec rowMax(*span.state[0]);
  Vec most = max(rowMax, Vec(0.0f));  // a NaN gradient must not lower it
  size_t i = 0;
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) {
    most = max(accumulated(Whole(), pass, extras, kernel, span, rowMax, 0, i), most);
  }
  float lanes[Vec::kLanes];
  most.store(lanes);
  float result = lanes[0];
  for (const float lane : lanes) result = lane > result ? lane : result;
  if (i == span.length) return result;
  const size_t rest = span.length - i;
  accumulated(Part{rest}, pass, extras, kernel, span, rowMax, 0, i).store(lanes);
  for (size_t lane = 0; lane < rest; ++lane) result = lanes[lane] > result ? lanes[lane] : result;
  return result;
}

/// Updates one matrix row, and then its maximum.
template <class K>
ALWAYS_INLINE void walkRowOfMaxima(const Pass& pass, const unsigned extras, const K& kernel, const Span& span) {
  const float most = maxOfRow(pass, kernel, span);
  walk(pass, extras, kernel, span);
  *span.state[0] = most;
}

/// Writes the maxima over a group of columns to `out`. `span` is their part of the first matrix row.
template <class K>
ALWAYS_INLINE void walkColumnMaxima(const Pass& pass, const K& kernel, const Span& span, size_t rows, size_t columns,
                                    float* out) {
  const unsigned extras = extrasOf(pass);
  for (size_t i = 0; i < span.length; ++i) out[i] = span.state[1][i] > 0 ? span.state[1][i] : 0;
  for (size_t row = 0; row < rows; ++row) {
    const Vec rowMax(span.state[0][row]);
    const auto maximize = [&](auto memory, size_t i) {
      memory.store(max(accumulated(memory, pass, extras, kernel, span, rowMax, row * columns, i), memory.load(out + i)),
                   out + i);
    };
    size_t i = 0;
    for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) maximize(Whole(), i);
    if (i < span.length) maximize(Part{span.length - i}, i);
  }
}

/// Sum of products of two streams of floats, with the bits of dot.
class ProductSum {
 public:
  /// Adds kVirtualLanes products.
  ALWAYS_INLINE void add(const float* x, const float* y) {
    for (size_t r = 0; r < kRegisters; ++r) {
      sums_[r] = sums_[r] + Double::load(x + r * Double::kLanes) * Double::load(y + r * Double::kLanes);
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

/// Adds the sums of squares of two vectors to `sums`. They are the param and the gradient, unless the kernel's
/// `measure` replaces them. `measure` may also change the state.
template <class K, size_t... S>
ALWAYS_INLINE void walkNorms(const Pass pass, const K kernel, const Span span, double* sums, Indices<S...>) {
  const State<K, Indices<S...>> state(span);
  const unsigned extras = extrasOf(pass);
  for (size_t begin = 0; begin < span.length; begin += kPiece) {
    const size_t end = span.length - begin < kPiece ? span.length : begin + kPiece;
    float firsts[kVirtualLanes], seconds[kVirtualLanes];
    const auto measureVector = [&](auto memory, size_t i, size_t lane) {
      const Vec param = memory.load(span.param + i + lane);
      const Vec grad = prologue(pass, extras, param, memory.load(span.grad + i + lane));
      Vec values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i + lane)..., Vec(0.0f)};
      Vec first = param, second = grad;
      kernel.measure(param, grad, values[S]..., first, second);
      (state.template store<S>(memory, values[S], span, i + lane), ...);
      memory.store(first, firsts + lane);
      memory.store(second, seconds + lane);
    };
    // Both sums are in registers beside the formula: while one addition waits, the other and the memory go on.
    ProductSum first, second;
    size_t i = begin;
    for (; i + kVirtualLanes <= end; i += kVirtualLanes) {
      for (size_t lane = 0; lane < kVirtualLanes; lane += Vec::kLanes) measureVector(Whole(), i, lane);
      first.add(firsts, firsts);
      second.add(seconds, seconds);
    }
    size_t lane = 0;
    for (; i + lane + Vec::kLanes <= end; lane += Vec::kLanes) measureVector(Whole(), i, lane);
    if (i + lane < end) measureVector(Part{end - i - lane}, i, lane);
    sums[0] = sums[0] + first.finish(firsts, firsts, end - i);
    sums[1] = sums[1] + second.finish(seconds, seconds, end - i);
  }
}

/// Adds the sums of products that the kernel's `measure` names to `sums`: it calls sum(k, x, y) for each of its kSums
/// sums. It may also change the state.
template <class K, size_t... S>
ALWAYS_INLINE void walkSums(const Pass pass, const K kernel, const Span span, double* sums, Indices<S...>) {
  const State<K, Indices<S...>> state(span);
  const unsigned extras = extrasOf(pass);
  for (size_t begin = 0; begin < span.length; begin += kPiece) {
    const size_t end = span.length - begin < kPiece ? span.length : begin + kPiece;
    float x[K::kSums][kVirtualLanes], y[K::kSums][kVirtualLanes];
    const auto measureVector = [&](auto memory, size_t i, size_t lane) {
      const Vec param = memory.load(span.param + i + lane);
      const Vec grad = prologue(pass, extras, param, memory.load(span.grad + i + lane));
      Vec values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i + lane)..., Vec(0.0f)};
      kernel.measure(param, grad, values[S]..., [&](size_t k, Vec first, Vec second) {
        memory.store(first, x[k] + lane);
        memory.store(second, y[k] + lane);
      });
      (state.template store<S>(memory, values[S], span, i + lane), ...);
    };
    ProductSum products[K::kSums];
    size_t i = begin;
    for (; i + kVirtualLanes <= end; i += kVirtualLanes) {
      for (size_t lane = 0; lane < kVirtualLanes; lane += Vec::kLanes) measureVector(Whole(), i, lane);
      for (size_t k = 0; k < K::kSums; ++k) products[k].add(x[k], y[k]);
    }
    size_t lane = 0;
    for (; i + lane + Vec::kLanes <= end; lane += Vec::kLanes) measureVector(Whole(), i, lane);
    if (i + lane < end) measureVector(Part{end - i - lane}, i, lane);
    for (size_t k = 0; k < K::kSums; ++k) sums[k] = sums[k] + products[k].finish(x[k], y[k], end - i);
  }
}
}  // namespace ISA
