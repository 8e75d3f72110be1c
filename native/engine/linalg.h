#pragma once
#include <stddef.h>

#include "../kernel.h"

// Operations on vectors of float32 or float64, computed in float64: in chunks of fixed size, on as many threads as pay
// off. The results do not depend on the number of threads. All functions throw std::bad_alloc if there is not enough
// memory.
namespace linalg {

/// A vector in JavaScript's memory. Two vectors of one call may be the same, but must not overlap otherwise.
struct Vector {
  void* data;
  Element element;
};

/// The operands of out = a * x + b * y. `z` may be absent: {nullptr, kNoElement}.
struct Axpby {
  double a;
  Vector x;
  double b;
  Vector y;
  Vector out;
  Vector z;
};

double dot(const KernelSet& set, Vector x, Vector y, size_t length);
/// out = a * x + b * y. Returns the dot product of out and z; 0 if there is no z.
double axpby(const KernelSet& set, const Axpby& operands, size_t length);
/// out = factor * x
void multiply(const KernelSet& set, double factor, Vector x, Vector out, size_t length);
/// max |x|; NaN if an element is NaN.
double maxAbs(const KernelSet& set, Vector x, size_t length);
/// max |x - y|; NaN if a difference is NaN.
double maxAbsDifference(const KernelSet& set, Vector x, Vector y, size_t length);

/// A tall matrix P, stored as one array per column.
struct Columns {
  double* const* columns;
  size_t count;
  size_t rows;
};

// Qᵀ is the transpose of Q.

/// out = Pᵀ x: one dot product per column.
void project(const KernelSet& set, Columns p, const double* x, double* out);
/// x = x + P weights, the columns in groups of four.
void addCombination(const KernelSet& set, Columns p, const double* weights, double* x);
/// P = P Qᵀ. Q has `qRows` rows of p.count numbers. The first `qRows` columns of P are computed, and the
/// others become 0.
void gemmInPlace(const KernelSet& set, Columns p, const double* const* q, size_t qRows);
/// products = Pᵀ P, in row-major order. Partial sums cover kPiece rows.
void gram(const KernelSet& set, Columns p, double* products);

}  // namespace linalg
