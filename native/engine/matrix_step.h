#pragma once
#include <vector>

#include "eigen.h"
#include "matmul.h"
#include "tensor.h"

/// The updates of tensors whose kernels work on whole matrices: a walk, products, and a second walk. One tensor follows
/// the other, each on all threads, so that they share the temporary memory.
class MatrixStep {
 public:
  /// Allocates the memory that the tensor's update needs.
  void reserve(const KernelSet& set, const Tensor& tensor);
  void run(const KernelSet& set, Tensor& tensor, bool flushDenormals);

 private:
  std::vector<float> memory_;    ///< packed factors, then the matrix and what its kernel asks for
  std::vector<double> doubles_;  ///< for decompositions
};
