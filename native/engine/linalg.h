#pragma once
#include <stddef.h>

#include "../kernel.h"

// Vectors of any length, of floats or doubles, computed with in double precision: in chunks of fixed size, on as many
// threads as pay. The results do not depend on how many these are. Throws std::bad_alloc.
namespace linalg {

/// A vector where JavaScript holds it. It may be one with another, but not overlap it otherwise.
struct Vector {
  void* data;
  Element element;
};

double dot(const KernelSet& set, Vector x, Vector y, size_t length);
/// out = a * x + b * y; returns the dot product of out and z, if z is one.
double axpby(const KernelSet& set, double a, Vector x, double b, Vector y, Vector out, Vector z, size_t length);
/// out = factor * x
void multiply(const KernelSet& set, double factor, Vector x, Vector out, size_t length);
/// max |x|; NaN if one is NaN.
double maxAbs(const KernelSet& set, Vector x, size_t length);
/// max |x - y|; NaN if one is NaN.
double maxAbsDifference(const KernelSet& set, Vector x, Vector y, size_t length);

/// The columns of a tall matrix P, one by one.
struct Columns {
  double* const* columns;
  size_t count;
  size_t rows;
};

/// out = the transpose of P times x: a dot product for each column.
void project(const KernelSet& set, Columns p, const double* x, double* out);
/// x = x + P * weights, the columns in groups of four.
void addCombination(const KernelSet& set, Columns p, const double* weights, double* x);
/// P = P * the transpose of Q, which has `made` rows: the first columns of P, and the others are zeros.
void gemmInPlace(const KernelSet& set, Columns p, const double* const* q, size_t made);
/// products = the transpose of P times P, row by row; partial sums are over kPiece rows.
void gram(const KernelSet& set, Columns p, double* products);

}  // namespace linalg
