#pragma once
#include <stddef.h>

#include "../kernel.h"

// Decompositions of square row-major matrices of float32, on several threads. They compute in float64 in a fixed order
// and round each result once, so that the bits depend neither on the number of threads nor on the instruction set. If a
// number of the matrix is not finite, the vectors are those of the identity, and the inverse root is 0: a factor that
// has overflowed must not make the params NaN. lib/engine/reference-eigen.ts is their specification.
namespace eigen {

/// How decompositions are computed.
struct Resources {
  const KernelSet& set;
  double* memory;  ///< of memoryDoubles
  size_t threads;
  bool flushDenormals;
};

/// Number of doubles that a decomposition of this side needs.
size_t memoryDoubles(size_t side);

/// The eigenvectors of a symmetric matrix, as the columns of `vectors`, the largest eigenvalue first. Writes the
/// eigenvalues to `values`, unless it is null.
void eigenvectors(const Resources& resources, const float* matrix, size_t side, float* vectors, double* values);
/// The inverse root of a symmetric matrix.
void inverseRoot(const Resources& resources, const float* matrix, size_t side, const InverseRoot& root, float* out);
/// The orthogonal factor of the QR decomposition of a matrix.
void orthonormalize(const Resources& resources, const float* matrix, size_t side, float* out);

}  // namespace eigen
