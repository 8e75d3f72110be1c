#pragma once
#include <string.h>

#include <memory>

#include "../kernel.h"
#include "column_maxima.h"
#include "partition.h"
#include "sparse_rows.h"

/// One tensor of a plan, and what a step does to a chunk of it. Owns none of its memory.
struct Tensor {
  const Kernel* kernel;
  Span span;
  size_t columns;       ///< length of a matrix row of the param
  size_t side;          ///< for matrix kernels: see MatrixShape
  bool isHalf;          ///< whether the state is in bfloat16: uint16_t behind the pointers of the span
  size_t firstElement;  ///< index of the first element in the whole param, if the state is in bfloat16
  size_t floats;        ///< that a step reads per element
  std::unique_ptr<SparseRows> sparseRows;  ///< or null: then span.grad is the gradient

  // Of a step, if the kernel has means, or null:
  std::unique_ptr<double[]> columnSums;  ///< of the squares in the columns
  std::unique_ptr<float[]> columnRoots;  ///< the roots of the means of the columns
  std::unique_ptr<ColumnMaxima> maxima;  ///< of a step, if the kernel has maxima; or null

  // The current step:
  int32_t row;  ///< the constants row, or negative: the tensor takes no part
  Pass pass;
  const float* constants;
  size_t scope;                   ///< whose numbers the tensor shares: the index of a tensor
  bool isDecided;                 ///< whether the scope of this index has its numbers
  double sums[kMaxSums];          ///< over this tensor
  double scopeSums[kMaxSums];     ///< over all tensors of the scope of this index
  float resolved[kMaxConstants];  ///< the constants, if the kernel computes some of them

  bool hasNorms() const { return kernel->measure != nullptr; }
  bool hasNumbers() const { return kernel->sum != nullptr; }
  bool hasMeans() const { return kernel->accumulateRow != nullptr; }
  bool hasMaxima() const { return kernel->hasMaxima; }
  bool isMatrix() const { return kernel->transform != nullptr; }
  /// Whether one call of the kernel is the whole update.
  bool isPlain() const {
    if (isHalf) return false;
    if (sparseRows != nullptr) return kernel->runSparse != nullptr;
    return !hasNorms() && !hasNumbers() && !hasMeans() && !isMatrix() && !kernel->perRow && span.length <= kChunk;
  }

  /// Whether its walk can prefetch and reads more than two arrays. Walks over two are as fast without.
  bool mayPrefetch() const { return !isHalf && sparseRows == nullptr && !isMatrix() && !kernel->perRow && floats > 2; }

  /// Reads the constants row of this step: all that a plain tensor needs.
  void readRow(const float* constantsRow, float gradScale) {
    memcpy(static_cast<void*>(&pass), constantsRow, sizeof pass);
    pass.gradScale = gradScale * pass.gradScale;
    constants = constantsRow + kPassFloats;
  }
  /// The same for any tensor, with what its phases need.
  void prepare(const float* constantsRow, size_t stride, float gradScale, bool zeroGrad);

  /// Sum of squares of the gradient over one chunk.
  double sumSquaresOfGrad(const KernelSet& set, const Chunk& chunk) const;
  /// Largest |element| of the gradient over one chunk.
  double maxAbsOfGrad(const KernelSet& set, const Chunk& chunk) const;
  /// Accumulates the means of the matrix rows that start in the chunk, and of a part of the columns. Call it for all
  /// chunks of the tensor; with one thread, in their order. Writes the roots of the means of the columns to
  /// columnRoots: a root for each element would take as long as the rest of the formula. One thread adds each row to
  /// the sums of all columns, and the last chunk finishes them. Several threads, and one if there are many columns, cut
  /// the columns into groups. The bits do not depend on the way.
  void accumulateMeans(const Chunk& chunk, size_t threads) const;
  /// Writes the sums that the kernel's norms or numbers need to chunk.sums.
  void measure(Chunk& chunk) const;
  void update(const Chunk& chunk) const;
  /// The whole update of a sparse gradient, after `readRow`.
  void updateRows(bool zeroGrads);
  void zeroGrad();
  /// The memory of `length` elements from `begin` on, with their state.
  Span part(size_t begin, size_t length) const;

 private:
  Span partOfUpdate(size_t begin, size_t length) const;
  void startEma() const;
  void updateMatrixRows(const Chunk& chunk) const;
  void accumulateColumns(size_t first, size_t length) const;
  void updateHalves(const Chunk& chunk) const;
  void updateHalves(size_t begin, size_t length, float* grad) const;
  Span halves(size_t begin, size_t length, float* grad) const;
  void updateGroup(size_t begin, size_t length, float* grad) const;
  template <class Work>
  void forEachColumnGroup(const Chunk& chunk, size_t threads, Work work) const;
  template <class Work>
  void forEachPart(const Chunk& chunk, Work work) const;
};

/// Sum of squares of a whole tensor: the sums of its chunks, added in their order.
double sumSquares(const KernelSet& set, const float* x, size_t length);
