#include "tensor.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace {
/// The most columns of a group. The longer the part of a row that is read at once, the better, but the sums of a group
/// must stay in the nearest cache while others use it, too.
constexpr size_t kColumnGroup = 1024;
/// The most columns of a matrix whose rows are summed as a whole. These sums, too, must stay in the nearest caches.
constexpr size_t kSummedColumns = 4096;

/// The first multiple of `unit` that is not below `begin`.
size_t roundUp(size_t begin, size_t unit) { return (begin + unit - 1) / unit * unit; }
}  // namespace

double sumSquares(const KernelSet& set, const float* x, size_t length) {
  double sum = 0;
  for (size_t begin = 0; begin < length; begin += kChunk) {
    sum = sum + set.sumSquares(x + begin, length - begin < kChunk ? length - begin : kChunk);
  }
  return sum;
}

void Tensor::prepare(const float* constantsRow, size_t stride, float gradScale, bool zeroGrad) {
  readRow(constantsRow, gradScale);
  if (hasNorms() || hasNumbers() || isMatrix()) {
    memcpy(resolved, constants, (stride - kPassFloats) * sizeof(float));
    constants = resolved;
  }
  span.zeroGrad = zeroGrad && sparseRows == nullptr;  // Plan sets the values of sparse gradients to 0
  if (sparseRows != nullptr) startEma();
}

/// Before a sparse update: a moving average starts as a copy of the whole param, including the rows without a gradient.
void Tensor::startEma() const {
  if (pass.emaStart == 0 || span.ema == nullptr || span.length == 0) return;
  memcpy(span.ema, span.param, span.length * sizeof(float));
}

double Tensor::sumSquaresOfGrad(const KernelSet& set, const Chunk& chunk) const {
  if (sparseRows == nullptr) return set.sumSquares(span.grad + chunk.begin, chunk.length);
  double sum = 0;
  for (size_t i = chunk.begin; i < chunk.begin + chunk.length; ++i) {
    sum = sum + sumSquares(set, sparseRows->grad(i), sparseRows->rowLength());
  }
  return sum;
}

double Tensor::maxAbsOfGrad(const KernelSet& set, const Chunk& chunk) const {
  const auto maxAbs = set.float64.maxAbs[kFloat];
  if (sparseRows == nullptr) return maxAbs(span.grad + chunk.begin, chunk.length);
  double most = 0;
  for (size_t i = chunk.begin; i < chunk.begin + chunk.length; ++i) {
    const double ofRow = maxAbs(sparseRows->grad(i), sparseRows->rowLength());
    if (ofRow > most) most = ofRow;
  }
  return most;
}

/// Calls work(group, first column) for the groups of columns that belong to the chunk. Elements are counted column by
/// column, and a group belongs to the chunk in which it starts. Its span is its part of the first matrix row.
template <class Work>
void Tensor::forEachColumnGroup(const Chunk& chunk, size_t threads, Work work) const {
  constexpr size_t kLine = 16;  // floats of a cache line
  const size_t share = roundUp((columns + threads - 1) / threads, kLine),
               groupLength = share < kColumnGroup ? share : kColumnGroup;
  const size_t rows = span.length / columns, end = chunk.begin + chunk.length, step = groupLength * rows;
  for (size_t begin = roundUp(chunk.begin, step); begin < end; begin += step) {
    const size_t first = begin / rows, rest = columns - first;
    work(part(first, rest < groupLength ? rest : groupLength), first);
  }
}

// A matrix row belongs to the chunk in which it starts.
void Tensor::accumulateMeans(const Chunk& chunk, size_t threads) const {
  const size_t rows = span.length / columns, end = chunk.begin + chunk.length;
  const size_t first = roundUp(chunk.begin, columns);
  for (size_t begin = first; begin < end; begin += columns) {
    kernel->accumulateRow(pass, constants, part(begin, columns));
  }
  double* const sums = columnSums.get();
  if (threads == 1 && columns <= kSummedColumns) {
    // One thread takes the chunks in their order, and adds their rows while these are in the cache.
    if (chunk.begin == 0) memset(sums, 0, columns * sizeof(double));
    const size_t count = first < end ? (end - first + columns - 1) / columns : 0;
    if (count > 0) kernel->addColumnSquares(pass, part(first, columns), count, columns, sums);
    if (end == span.length) accumulateColumns(0, columns);
    return;
  }
  forEachColumnGroup(chunk, threads, [&](const Span& group, size_t column) {
    memset(sums + column, 0, group.length * sizeof(double));
    kernel->addColumnSquares(pass, group, rows, columns, sums + column);
    accumulateColumns(column, group.length);
  });
}

void Tensor::accumulateColumns(size_t first, size_t length) const {
  const size_t rows = span.length / columns;
  float* const means = span.state[1] + first;
  kernel->accumulateColumns(constants, columnSums.get() + first, rows, means, length);
  for (size_t i = 0; i < length; ++i) columnRoots[first + i] = sqrtf(means[i]);
}

void Tensor::measure(Chunk& chunk) const {
  for (double& sum : chunk.sums) sum = 0;
  const auto walk = hasNumbers() ? kernel->sum : kernel->measure;
  forEachPart(chunk, [&](const Span& part) { walk(pass, constants, part, chunk.sums); });
}

void Tensor::update(const Chunk& chunk) const {
  if (isHalf) {
    updateHalves(chunk);
  } else if (sparseRows != nullptr) {
    kernel->runSparse(pass, constants, span, sparseRows->list(chunk.begin, chunk.length));
  } else if (kernel->perRow) {
    updateMatrixRows(chunk);
  } else {
    forEachPart(chunk, [&](const Span& part) { kernel->run(pass, constants, part); });
  }
}

/// Updates the matrix rows that start in the chunk, each as a whole.
void Tensor::updateMatrixRows(const Chunk& chunk) const {
  const size_t end = chunk.begin + chunk.length;
  size_t begin = roundUp(chunk.begin, columns);
  if (begin >= end) return;
  ColumnMaxima::Copy* const raised = hasMaxima() ? &maxima->take() : nullptr;
  for (; begin < end; begin += columns) {
    Span row = part(begin, columns);
    if (raised != nullptr) row.state[kernel->stateCount] = raised->numbers();
    kernel->run(pass, constants, row);
  }
  if (raised != nullptr) maxima->giveBack(*raised);
}

void Tensor::updateRows(bool zeroGrads) {
  startEma();
  kernel->runSparse(pass, constants, span, sparseRows->list());
  if (zeroGrads) sparseRows->zero();
}

void Tensor::updateHalves(const Chunk& chunk) const {
  if (sparseRows == nullptr) {
    updateHalves(chunk.begin, chunk.length, span.grad + chunk.begin);
    return;
  }
  const RowList list = sparseRows->list(chunk.begin, chunk.length);
  for (size_t n = 0; n < list.count; ++n) {
    updateHalves(list.rows[n].row * list.length, list.length, list.rows[n].grad);
  }
}

/// Updates elements whose state is in bfloat16. The kernel takes whole groups of them.
void Tensor::updateHalves(size_t begin, size_t length, float* grad) const {
  // As in walk() of kernels/loop.h: from the first line of the cache on.
  constexpr size_t kMinAligned = 1024;
  const size_t skipped = reinterpret_cast<uintptr_t>(span.param + begin) / sizeof(float) % kHalfGroup;
  const size_t ahead = length < kMinAligned || skipped == 0 ? 0 : kHalfGroup - skipped;
  const size_t behind = (length - ahead) % kHalfGroup, whole = length - ahead - behind;
  if (ahead > 0) updateGroup(begin, ahead, grad);
  if (whole > 0) {
    const size_t from = begin + ahead;
    kernel->runHalves(pass, constants, halves(from, whole, grad + ahead), firstElement + from);
  }
  if (behind > 0) updateGroup(begin + length - behind, behind, grad + length - behind);
}

Span Tensor::halves(size_t begin, size_t length, float* grad) const {
  Span result = span;
  result.param += begin;
  result.grad = grad;
  if (result.ema != nullptr) result.ema += begin;
  for (size_t s = 0; s < kernel->stateCount; ++s) {
    result.state[s] = reinterpret_cast<float*>(reinterpret_cast<uint16_t*>(span.state[s]) + begin);
  }
  result.length = length;
  return result;
}

/// Updates the first elements of a group in a copy of them.
void Tensor::updateGroup(size_t begin, size_t length, float* grad) const {
  alignas(64) float floats[3][kHalfGroup] = {};
  alignas(64) uint16_t states[kMaxState][kHalfGroup] = {};
  const Span from = halves(begin, length, grad);
  Span group = {floats[0], floats[1], from.ema == nullptr ? nullptr : floats[2], {}, kHalfGroup, span.zeroGrad};
  const size_t bytes = length * sizeof(float), stateBytes = length * sizeof(uint16_t);
  memcpy(group.param, from.param, bytes);
  memcpy(group.grad, from.grad, bytes);
  if (group.ema != nullptr) memcpy(group.ema, from.ema, bytes);
  for (size_t s = 0; s < kernel->stateCount; ++s) {
    group.state[s] = reinterpret_cast<float*>(states[s]);
    memcpy(states[s], static_cast<void*>(from.state[s]), stateBytes);
  }
  kernel->runHalves(pass, constants, group, firstElement + begin);
  memcpy(from.param, group.param, bytes);
  if (span.zeroGrad) memcpy(from.grad, group.grad, bytes);
  if (group.ema != nullptr) memcpy(from.ema, group.ema, bytes);
  for (size_t s = 0; s < kernel->stateCount; ++s) memcpy(static_cast<void*>(from.state[s]), states[s], stateBytes);
}

void Tensor::zeroGrad() {
  if (span.length == 0) return;
  if (sparseRows != nullptr) {
    sparseRows->zero();
  } else {
    memset(span.grad, 0, span.length * sizeof(float));
  }
}

/// Calls work(span) for the chunk, or for each matrix row in it if the kernel has state of rows and columns.
template <class Work>
void Tensor::forEachPart(const Chunk& chunk, Work work) const {
  const size_t end = chunk.begin + chunk.length;
  const size_t rowLength = hasMeans() ? columns : span.length;
  for (size_t begin = chunk.begin; begin < end;) {
    const size_t inRow = rowLength - begin % rowLength, rest = end - begin;
    const size_t length = inRow < rest ? inRow : rest;
    work(partOfUpdate(begin, length));
    begin += length;
  }
}

/// The part as the formula sees it: with the roots of the means of columns in their place.
Span Tensor::partOfUpdate(size_t begin, size_t length) const {
  Span result = part(begin, length);
  if (hasMeans()) result.state[1] = columnRoots.get() + begin % columns;
  return result;
}

Span Tensor::part(size_t begin, size_t length) const {
  Span result = span;
  result.param += begin;
  result.grad += begin;
  if (result.ema != nullptr) result.ema += begin;
  for (size_t s = 0; s < kMaxState; ++s) {
    if (result.state[s] == nullptr) continue;
    const Layout layout = kernel->layout[s];
    if (layout == kOwn) continue;
    result.state[s] += layout == kElement ? begin : layout == kRow ? begin / columns : begin % columns;
  }
  result.length = length;
  return result;
}
