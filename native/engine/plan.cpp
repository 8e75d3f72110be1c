#include "plan.h"

#include <math.h>
#include <string.h>

#include <chrono>

#include "denormals.h"
#include "parallel.h"

namespace {
// What a partial sum covers is a part of the result's definition: the JavaScript reference has the same number.
constexpr size_t kSegment = 16384;
// Steps that read fewer floats are not worth a second thread, even one that is awake.
constexpr size_t kShared = 128 * 1024;
// How many rows ahead of the update the next ones are asked for: they are anywhere in memory, and no hardware guesses
// it.
constexpr size_t kAhead = 4;

size_t namesIn(const char* list) {
  size_t n = *list == '\0' ? 0 : 1;
  for (; *list != '\0'; ++list) n += *list == ',';
  return n;
}

void prefetch(const float* p, size_t length) {
#ifdef __GNUC__
  constexpr size_t kLine = 64 / sizeof(float);
  for (size_t i = 0; i < length; i += kLine) __builtin_prefetch(p + i, 1);
#else
  (void)p, (void)length;
#endif
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
}  // namespace

double sumSquares(const KernelSet& set, const float* x, size_t length) {
  double sum = 0;
  for (size_t begin = 0; begin < length; begin += kSegment) {
    sum = sum + set.sumSquares(x + begin, length - begin < kSegment ? length - begin : kSegment);
  }
  return sum;
}

void Plan::setTensor(size_t i, const Kernel* kernel, const Span& span, size_t columns) {
  Tensor& tensor = tensors_[i];
  tensor.kernel = kernel;
  tensor.span = span;
  tensor.columns = columns;
  tensor.floats = 2;
  for (size_t s = 0; s < namesIn(kernel->state); ++s) tensor.floats += kernel->layout[s] == kElement;
  tensor.sparseRows = nullptr;
  isCut_ = false;
}

void Plan::setGrad(size_t i, float* grad) {
  tensors_[i].span.grad = grad;
  tensors_[i].sparseRows = nullptr;
}

void Plan::setGrad(size_t i, const uint32_t* rows, size_t count, float* values, size_t rowLength) {
  tensors_[i].span.grad = nullptr;
  if (tensors_[i].sparseRows == nullptr) tensors_[i].sparseRows = std::make_unique<SparseRows>();
  tensors_[i].sparseRows->set(rows, count, values, rowLength);
  isCut_ = false;
}

/// Whether all rows that gradients name are there.
bool Plan::gatherRows() {
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Tensor& tensor = tensors_[t];
    if (tensor.sparseRows == nullptr || !isActive(t)) continue;
    const size_t limit = tensor.sparseRows->rowLength() == 0 ? 0 : tensor.span.length / tensor.sparseRows->rowLength();
    const size_t bad = tensor.sparseRows->gather(limit, set_);
    if (bad == SparseRows::kAllValid) continue;
    control_->badTensor = static_cast<double>(t);
    control_->badRow = static_cast<double>(bad);
    return false;
  }
  return true;
}

void Plan::cut() {
  segments_.clear();
  chunks_.assign(1, 0);
  hasNorms_ = hasMeans_ = hasRows_ = false;
  traffic_ = 0;
  size_t inChunk = 0;
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Tensor& tensor = tensors_[t];
    size_t length = tensor.span.length, unit = 1;
    hasNorms_ = hasNorms_ || tensor.kernel->measure != nullptr;
    hasMeans_ = hasMeans_ || tensor.kernel->accumulateRow != nullptr;
    if (tensor.sparseRows != nullptr) {
      hasRows_ = true;
      length = isActive(t) ? tensor.sparseRows->size() : 0;
      unit = tensor.sparseRows->rowLength();
    }
    traffic_ += length * unit * tensor.floats;
    const size_t step = unit < kSegment ? kSegment / (unit == 0 ? 1 : unit) : 1;
    for (size_t begin = 0; begin < length; begin += step) {
      const size_t rest = length - begin;
      segments_.push_back({t, begin, rest < step ? rest : step, {0, 0}});
      inChunk += segments_.back().length * unit;
      if (inChunk < kSegment) continue;
      chunks_.push_back(segments_.size());
      inChunk = 0;
    }
  }
  if (chunks_.back() < segments_.size()) chunks_.push_back(segments_.size());
  isCut_ = !hasRows_;
}

template <void (Plan::*work)(Plan::Segment&)>
void Plan::each() {
  if (threads_ == 1) {
    for (Segment& segment : segments_) (this->*work)(segment);
    return;
  }
  parallel::run(
      chunks_.size() - 1, threads_,
      [](void* context, size_t chunk) {
        Plan& plan = *static_cast<Plan*>(context);
        for (size_t i = plan.chunks_[chunk]; i < plan.chunks_[chunk + 1]; ++i) (plan.*work)(plan.segments_[i]);
      },
      this);
}

void Plan::sum(Segment& segment) {
  if (!isActive(segment.tensor)) return;
  const Tensor& tensor = tensors_[segment.tensor];
  if (tensor.sparseRows == nullptr) {
    segment.sums[0] = set_.sumSquares(tensor.span.grad + segment.begin, segment.length);
    return;
  }
  segment.sums[0] = 0;
  SparseRows& grads = *tensor.sparseRows;
  for (size_t i = segment.begin; i < segment.begin + segment.length; ++i) {
    segment.sums[0] = segment.sums[0] + sumSquares(set_, grads.grad(i), grads.rowLength());
  }
}

double Plan::sumSquaresOfGrads() {
  each<&Plan::sum>();
  double total = 0, ofTensor = 0;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (!isActive(segment.tensor)) continue;
    ofTensor = ofTensor + segment.sums[0];
    if (i + 1 < segments_.size() && segments_[i + 1].tensor == segment.tensor) continue;
    total = total + ofTensor;
    ofTensor = 0;
  }
  return total;
}

void Plan::zeroGrads() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Span& span = tensors_[i].span;
    if (!isActive(i) || span.length == 0) continue;
    if (tensors_[i].sparseRows != nullptr) {
      tensors_[i].sparseRows->zero();
    } else {
      memset(span.grad, 0, span.length * sizeof(float));
    }
  }
}

/// What kernels need to know of the rows and columns of the gradient before they measure.
void Plan::accumulateMeans() {
  each<&Plan::accumulate>();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& tensor = tensors_[i];
    if (!isActive(i) || tensor.kernel->accumulateRow == nullptr || tensor.span.length == 0) continue;
    const size_t rows = tensor.span.length / tensor.columns;
    double sum = 0;
    for (size_t row = 0; row < rows; ++row) sum = sum + static_cast<double>(tensor.span.state[0][row]);
    tensor.kernel->resolveMean(tensor.resolved, sum / static_cast<double>(rows));
  }
}

/// The rows that begin in the segment; and the groups of columns that would, were the tensor column by column.
void Plan::accumulate(Segment& segment) {
  const Tensor& tensor = tensors_[segment.tensor];
  if (!isActive(segment.tensor) || tensor.kernel->accumulateRow == nullptr) return;
  const FlushDenormals flush(control_->flushDenormals != 0);
  const size_t columns = tensor.columns, rows = tensor.span.length / columns, end = segment.begin + segment.length;
  for (size_t begin = (segment.begin + columns - 1) / columns * columns; begin < end; begin += columns) {
    tensor.kernel->accumulateRow(tensor.pass, tensor.constants, part(tensor, begin, columns, tensor.span.grad + begin));
  }
  const size_t group = kColumnGroup * rows;
  for (size_t begin = (segment.begin + group - 1) / group * group; begin < end; begin += group) {
    const size_t first = begin / rows, rest = columns - first;
    tensor.kernel->accumulateColumns(
        tensor.pass, tensor.constants,
        part(tensor, first, rest < kColumnGroup ? rest : kColumnGroup, tensor.span.grad + first), rows, columns);
  }
}

/// Calls work(span) for the segment; where state is of rows or columns, for what it holds of each row.
template <class F>
void Plan::eachPart(const Tensor& tensor, const Segment& segment, F work) const {
  const size_t end = segment.begin + segment.length;
  const size_t columns = tensor.kernel->accumulateRow == nullptr ? tensor.span.length : tensor.columns;
  for (size_t begin = segment.begin; begin < end;) {
    const size_t ofRow = columns - begin % columns, rest = end - begin;
    const size_t length = ofRow < rest ? ofRow : rest;
    work(part(tensor, begin, length, tensor.span.grad + begin));
    begin += length;
  }
}

/// The first walk of kernels that need norms, and what follows from these.
void Plan::resolveNorms() {
  each<&Plan::measure>();
  for (Tensor& tensor : tensors_) tensor.norms[0] = tensor.norms[1] = 0;
  for (const Segment& segment : segments_) {
    for (size_t n = 0; n < 2; ++n) tensors_[segment.tensor].norms[n] += segment.sums[n];
  }
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Tensor& tensor = tensors_[i];
    if (!isActive(i) || tensor.kernel->measure == nullptr) continue;
    tensor.kernel->resolve(tensor.resolved, sqrt(tensor.norms[0]), sqrt(tensor.norms[1]), tensor.span.length);
  }
}

void Plan::measure(Segment& segment) {
  const Tensor& tensor = tensors_[segment.tensor];
  if (!isActive(segment.tensor) || tensor.kernel->measure == nullptr) return;
  const FlushDenormals flush(control_->flushDenormals != 0);
  segment.sums[0] = segment.sums[1] = 0;
  eachPart(tensor, segment,
           [&](const Span& span) { tensor.kernel->measure(tensor.pass, tensor.constants, span, segment.sums); });
}

Span Plan::part(const Tensor& tensor, size_t begin, size_t length, float* grad) const {
  Span span = tensor.span;
  span.param += begin;
  span.grad = grad;
  if (span.ema != nullptr) span.ema += begin;
  for (size_t s = 0; s < kMaxState; ++s) {
    if (span.state[s] == nullptr) continue;
    const Layout layout = tensor.kernel->layout[s];
    span.state[s] += layout == kElement ? begin : layout == kRow ? begin / tensor.columns : begin % tensor.columns;
  }
  span.length = length;
  return span;
}

void Plan::run(const Tensor& tensor, size_t begin, size_t length, float* grad) const {
  tensor.kernel->run(tensor.pass, tensor.constants, part(tensor, begin, length, grad));
}

void Plan::updateRows(Tensor& tensor, const Segment& segment) {
  SparseRows& grads = *tensor.sparseRows;
  const size_t length = grads.rowLength(), end = segment.begin + segment.length;
  for (size_t i = segment.begin; i < end; ++i) {
    if (i + kAhead < end) {
      const size_t next = grads.row(i + kAhead) * length;
      prefetch(tensor.span.param + next, length);
      const bool perRow = tensor.kernel->perRow;
      for (const float* state : tensor.span.state) {
        if (state != nullptr) prefetch(state + (perRow ? grads.row(i + kAhead) : next), perRow ? 1 : length);
      }
    }
    run(tensor, grads.row(i) * length, length, grads.grad(i));
  }
}

void Plan::update(Segment& segment) {
  if (!isActive(segment.tensor)) return;
  const FlushDenormals flush(control_->flushDenormals != 0);
  Tensor& tensor = tensors_[segment.tensor];
  if (tensor.sparseRows != nullptr) {
    updateRows(tensor, segment);
  } else if (tensor.kernel->perRow) {
    // The rows that begin in it, each as a whole.
    const size_t columns = tensor.columns, end = segment.begin + segment.length;
    for (size_t begin = (segment.begin + columns - 1) / columns * columns; begin < end; begin += columns) {
      run(tensor, begin, columns, tensor.span.grad + begin);
    }
  } else {
    eachPart(tensor, segment, [&](const Span& span) { tensor.kernel->run(tensor.pass, tensor.constants, span); });
  }
}

/// Reads the rows of constants of this step.
void Plan::prepare(float gradScale) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!isActive(i)) continue;
    Tensor& tensor = tensors_[i];
    const float* row = rows_ + static_cast<size_t>(rowOf_[i]) * stride_;
    memcpy(&tensor.pass, row, sizeof tensor.pass);
    tensor.pass.gradScale = gradScale * tensor.pass.gradScale;
    tensor.constants = row + kPassFloats;
    if (tensor.kernel->measure != nullptr) {
      memcpy(tensor.resolved, tensor.constants, (stride_ - kPassFloats) * sizeof(float));
      tensor.constants = tensor.resolved;
    }
    tensor.span.zeroGrad = control_->zeroGrads != 0;
    // Rows that have no gradient yet have an average too.
    if (tensor.sparseRows != nullptr && tensor.pass.emaStart != 0 && tensor.span.ema != nullptr) {
      memcpy(tensor.span.ema, tensor.span.param, tensor.span.length * sizeof(float));
    }
  }
}

void Plan::step() {
  Control& control = *control_;
  control.badTensor = -1;
  if (!isCut_) {
    if (!gatherRows()) return;
    cut();
  }
  double scale = control.gradScale;
  control.applied = 1;
  const size_t most = parallel::threads();
  const bool isShared = most > 1 && traffic_ >= kShared && chunks_.size() > 2;
  threads_ = !isShared ? 1 : parallel::always() ? most : autoTune_.choose(most);
  const double begin = isShared ? seconds() : 0;
  if (control.measureNorm != 0) {
    const double sum = sumSquaresOfGrads();
    control.gradNorm = sqrt(sum) * fabs(scale);
    // Squares of floats can't overflow a double: the sum is finite if and only if every gradient is.
    if (control.skipNonFinite != 0 && !isfinite(sum)) {
      control.applied = 0;
      if (control.zeroGrads != 0) zeroGrads();
      return;
    }
    if (control.maxNorm != INFINITY) {
      const double coefficient = control.maxNorm / (control.gradNorm + 1e-6);
      scale = scale * (coefficient > 1 ? 1 : coefficient);  // a NaN passes, as in PyTorch
    }
  }
  prepare(static_cast<float>(scale));
  if (hasMeans_) accumulateMeans();
  if (hasNorms_) resolveNorms();
  each<&Plan::update>();
  if (hasRows_ && control.zeroGrads != 0) {
    // Where rows were summed, it was the sums that the kernel set to 0.
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].sparseRows != nullptr && isActive(i)) tensors_[i].sparseRows->zero();
    }
  }
  if (isShared) autoTune_.took((seconds() - begin) / static_cast<double>(traffic_));
}
