#pragma once
#include <stddef.h>

#include "../kernel.h"

// Products of float32 matrices, on several threads. The bits depend neither on their number nor on the instruction set.
namespace matmul {

/// Number of floats that a product of these dimensions needs for packed factors.
size_t packedFloats(const KernelSet& set, size_t rows, size_t columns, size_t depth);

/// How products are computed.
struct Resources {
  const KernelSet& set;
  float* packed;  ///< memory of packedFloats
  size_t threads;
  bool flushDenormals;
};

void multiply(const Resources& resources, const Product& product);

}  // namespace matmul
