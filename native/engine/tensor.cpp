#include "tensor.h"

#include <stdint.h>
#include <string.h>

namespace {
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
  memcpy(static_cast<void*>(&pass), constantsRow, sizeof pass);
  pass.gradScale = gradScale * pass.gradScale;
  constants = constantsRow + kPassFloats;
  if (hasNorms() || hasNumbers() || isMatrix()) {
    memcpy(resolved, constants, (stride - kPassFloats) * sizeof(float));
    constants = resolved;
  }
  span.zeroGrad = zeroGrad && sparseRows == nullptr;  // Plan sets the values of sparse gradients to 0
  // The moving average starts as a copy of the whole param, including the rows without a gradient.
  if (sparseRows != nullptr && pass.emaStart != 0 && span.ema != nullptr && span.length > 0) {
    memcpy(span.ema, span.param, span.length * sizeof(float));
  }
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
void Tensor::forEachColumnGroup(const Chunk& chunk, Work work) const {
  const size_t rows = span.length / columns, end = chunk.begin + chunk.length, step = kColumnGroup * rows;
  for (size_t begin = roundUp(chunk.begin, step); begin < end; begin += step) {
    const size_t first = begin / rows, rest = columns - first;
    work(part(first, rest < kColumnGroup ? rest : kColumnGroup), first);
  }
}

// A matrix row belongs to the chunk in which it starts.
void Tensor::accumulateMeans(const Chunk& chunk) const {
  const size_t rows = span.length / columns, end = chunk.begin + chunk.length;
  for (size_t begin = roundUp(chunk.begin, columns); begin < end; begin += columns) {
    kernel->accumulateRow(pass, constants, part(begin, columns));
  }
  forEachColumnGroup(
      chunk, [&](const Span& group, size_t) { kernel->accumulateColumns(pass, constants, group, rows, columns); });
}

void Tensor::maximizeColumns(const Chunk& chunk) const {
  const size_t rows = span.length / columns;
  forEachColumnGroup(chunk, [&](const Span& group, size_t first) {
    kernel->maximizeColumns(pass, constants, group, rows, columns, columnMaxima.get() + first);
  });
}

void Tensor::adoptMaxima() const {
  if (span.length > 0) memcpy(span.state[1], columnMaxima.get(), columns * sizeof(float));
}

void Tensor::measure(Chunk& chunk) const {
  for (double& sum : chunk.sums) sum = 0;
  const auto walk = hasNumbers() ? kernel->sum : kernel->measure;
  forEachPart(chunk, [&](const Span& part) { walk(pass, constants, part, chunk.sums); });
}

void Tensor::update(const KernelSet& set, const Chunk& chunk) const {
  if (isHalf) {
    updateHalves(set, chunk);
  } else if (sparseRows != nullptr) {
    kernel->runSparse(pass, constants, span, sparseRows->list(chunk.begin, chunk.length));
  } else if (kernel->perRow) {
    // The matrix rows that start in the chunk, each as a whole.
    const size_t end = chunk.begin + chunk.length;
    for (size_t begin = roundUp(chunk.begin, columns); begin < end; begin += columns) {
      kernel->run(pass, constants, part(begin, columns));
    }
  } else {
    forEachPart(chunk, [&](const Span& part) { kernel->run(pass, constants, part); });
  }
}

void Tensor::updateHalves(const KernelSet& set, const Chunk& chunk) const {
  uint32_t seeds[kMaxState];
  for (size_t pair = 0; 2 * pair < kernel->stateCount; ++pair) {
    seeds[pair] = set.bfloat16.hash(static_cast<uint32_t>(8 * static_cast<size_t>(pass.update) + pair));
  }
  if (sparseRows == nullptr) {
    updateHalves(set, seeds, chunk.begin, chunk.length, span.grad + chunk.begin);
    return;
  }
  const RowList list = sparseRows->list(chunk.begin, chunk.length);
  for (size_t n = 0; n < list.count; ++n) {
    updateHalves(set, seeds, list.rows[n].row * list.length, list.length, list.rows[n].grad);
  }
}

/// Updates elements whose state is in bfloat16: widens the state piece by piece, so that a piece stays in the nearest
/// cache, runs the kernel on it, and rounds it.
void Tensor::updateHalves(const KernelSet& set, const uint32_t* seeds, size_t begin, size_t length, float* grad) const {
  // The copies begin at the same place in a cache line as the param, and each at another place in a page.
  constexpr size_t kLine = 16, kPiecesApart = kPiece + 160;
  alignas(64) float copies[kMaxState * kPiecesApart + kLine];
  alignas(64) uint32_t hashes[kPiece];
  for (size_t end = begin + length; begin < end;) {
    const size_t count = end - begin < kPiece ? end - begin : kPiece;
    Span piece = {};
    piece.param = span.param + begin;
    piece.grad = grad;
    piece.ema = span.ema == nullptr ? nullptr : span.ema + begin;
    piece.length = count;
    piece.zeroGrad = span.zeroGrad;
    float* const first = copies + reinterpret_cast<uintptr_t>(piece.param) / sizeof(float) % kLine;
    for (size_t s = 0; s < kernel->stateCount; ++s) {
      piece.state[s] = first + s * kPiecesApart;
      set.bfloat16.widen(reinterpret_cast<const uint16_t*>(span.state[s]) + begin, piece.state[s], count);
    }
    kernel->run(pass, constants, piece);
    for (size_t s = 0; s < kernel->stateCount; ++s) {
      // Two arrays share the hashes.
      if (s % 2 == 0) set.bfloat16.hashes(hashes, count, static_cast<uint32_t>(firstElement + begin), seeds[s / 2]);
      set.bfloat16.round(piece.state[s], hashes, s % 2 == 1, reinterpret_cast<uint16_t*>(span.state[s]) + begin, count);
    }
    begin += count;
    grad += count;
  }
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
    work(part(begin, length));
    begin += length;
  }
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
