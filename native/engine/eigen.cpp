#include "eigen.h"

#include <math.h>
#include <string.h>

#include "denormals.h"
#include "parallel.h"

namespace eigen {
namespace {
// Sums of squares below this are those of rounding errors: a reflection from them would not be orthogonal. It is
// 2^-900.
constexpr double kTiny = 0x1p-900;
// Sweeps for one eigenvalue. About two are needed.
constexpr size_t kMaxSweeps = 60;
// Columns of a task: whole cache lines, and as many as the loops keep in registers.
constexpr size_t kTaskColumns = 64;
// Operations on fewer elements do not gain from a second thread.
constexpr size_t kMinShared = size_t{1} << 16;
// Vectors of `side` numbers in the memory, behind the matrix.
constexpr size_t kVectors = 5;

/// sqrt(a^2 + b^2) without overflow.
double hypotenuse(double a, double b) {
  const double x = fabs(a), y = fabs(b), large = x > y ? x : y, small = x > y ? y : x;
  if (large == 0) return 0;
  const double ratio = small / large;
  return large * sqrt(1 + ratio * ratio);
}

/// A Householder reflection I - u ut / half that turns a vector into a multiple of one unit vector.
struct Reflection {
  double own;    ///< the element of u at the unit vector's place; the others are those of the vector
  double after;  ///< what becomes of the vector at this place
  double half;
};

/// `own` is the element of the vector at the unit vector's place; `rest` is the sum of squares of the others.
Reflection reflection(double own, double rest) {
  const double square = rest + own * own, norm = sqrt(square), after = own > 0 ? -norm : norm;
  return {own - after, after, square - own * after};
}

bool isFinite(const float* matrix, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if (!isfinite(matrix[i])) return false;
  }
  return true;
}

void fillIdentity(float* out, size_t side) {
  for (size_t i = 0; i < side * side; ++i) out[i] = i % (side + 1) == 0 ? 1 : 0;
}

/// A square matrix, while it is decomposed.
class Decomposition {
 public:
  Decomposition(const Resources& resources, const float* matrix, size_t side)
      : resources_(resources),
        kernels_(resources.set.eigen),
        side_(side),
        a_(resources.memory),
        vectors_(a_ + side * side) {
    for (size_t i = 0; i < side * side; ++i) a_[i] = static_cast<double>(matrix[i]);
  }

  /// Replaces the symmetric matrix by its eigenvectors, as rows. Row order(k) belongs to value(k); the values descend.
  void decompose() {
    tridiagonalize();
    transpose();
    iterate();
    sort();
  }
  const double* rows() const { return a_; }
  double* values() { return vector(0); }
  size_t order(size_t k) const { return static_cast<size_t>(vectors_[side_ + k]); }

  /// Writes the inverse root of the matrix that was decomposed.
  void inverseRoot(const InverseRoot& root, float* out) {
    double *const values = vector(0), *powers = vector(2), *weights = vector(3), *sum = vector(4);
    for (size_t k = 0; k < side_; ++k) values[k] = values[k] / root.divisor + root.eps;
    const double smallest = values[side_ - 1];
    for (size_t k = 0; k < side_; ++k) {
      // In this order the smallest becomes eps, and not 0, where eps is below the rounding errors.
      const double power = sqrt(smallest < root.eps ? values[k] - smallest + root.eps : values[k]);
      powers[order(k)] = 1 / (root.isQuarter ? sqrt(power) : power);
    }
    for (size_t i = 0; i < side_; ++i) {
      for (size_t k = 0; k < side_; ++k) weights[k] = powers[k] * at(k, i);
      sumRows(weights, side_, a_, sum, i + 1);
      for (size_t j = 0; j <= i; ++j) out[i * side_ + j] = out[j * side_ + i] = static_cast<float>(sum[j]);
    }
  }

  /// Replaces a matrix by the orthogonal factor of its QR decomposition.
  void orthonormalize() {
    double *u = vector(0), *halves = vector(1);
    memset(halves, 0, side_ * sizeof(double));
    for (size_t k = 0; k < side_; ++k) {
      double rest = 0;
      for (size_t i = k + 1; i < side_; ++i) rest = rest + at(i, k) * at(i, k);
      if (rest < kTiny) continue;
      const Reflection r = reflection(at(k, k), rest);
      at(k, k) = r.own;
      halves[k] = r.half;
      for (size_t i = k; i < side_; ++i) u[i - k] = at(i, k);
      reflect(k, k + 1, u, r.half);
    }
    // The rows and columns behind k hold Q so far, and column k the next u.
    for (size_t k = side_; k-- > 0;) {
      for (size_t i = k; i < side_; ++i) {
        u[i - k] = at(i, k);
        at(i, k) = 0;
        at(k, i) = 0;
      }
      at(k, k) = 1;
      if (halves[k] != 0) reflect(k, k, u, halves[k]);
    }
  }

 private:
  double* vector(size_t i) { return vectors_ + i * side_; }
  double& at(size_t i, size_t j) { return a_[i * side_ + j]; }

  /// Reduces the symmetric matrix to a tridiagonal one: its diagonal is vector 0, and element i of vector 1 stands
  /// beside elements i and i + 1 of the diagonal. Replaces the matrix by the orthogonal matrix of the reduction.
  void tridiagonalize() {
    double *diagonal = vector(0), *off = vector(1), *halves = vector(2), *product = vector(3);
    memset(off, 0, 2 * side_ * sizeof(double));
    for (size_t i = side_ - 1; i > 0; --i) {
      double* const u = a_ + i * side_;
      diagonal[i] = u[i];
      double rest = 0;
      for (size_t k = 0; k + 1 < i; ++k) rest = rest + u[k] * u[k];
      if (rest < kTiny) {
        off[i - 1] = u[i - 1];
        continue;
      }
      const Reflection r = reflection(u[i - 1], rest);
      u[i - 1] = r.own;
      off[i - 1] = r.after;
      halves[i] = r.half;
      sumRows(u, i, a_, product, i);
      double sum = 0;
      for (size_t j = 0; j < i; ++j) {
        product[j] = product[j] / r.half;
        sum = sum + u[j] * product[j];
      }
      kernels_.subtract(sum / (r.half + r.half), u, product, i);
      forEachRow(0, i, i,
                 [&](size_t row) { kernels_.subtractBoth(u[row], product, product[row], u, a_ + row * side_, i); });
    }
    diagonal[0] = a_[0];
    // The rows and columns before i hold Q so far, and row i the next u.
    for (size_t i = 0; i < side_; ++i) {
      const double* const u = a_ + i * side_;
      if (halves[i] != 0) {
        sumRows(u, i, a_, product, i);
        const double half = halves[i];
        forEachRow(0, i, i, [&](size_t row) { kernels_.subtract(u[row] / half, product, a_ + row * side_, i); });
      }
      for (size_t k = 0; k < i; ++k) {
        at(i, k) = 0;
        at(k, i) = 0;
      }
      at(i, i) = 1;
    }
  }

  void transpose() {
    for (size_t i = 0; i < side_; ++i) {
      for (size_t j = 0; j < i; ++j) {
        const double other = at(i, j);
        at(i, j) = at(j, i);
        at(j, i) = other;
      }
    }
  }

  /// Implicit QL iteration: the diagonal becomes the eigenvalues. Applies all rotations to the rows of the matrix.
  void iterate() {
    double *diagonal = vector(0), *off = vector(1), *cosines = vector(2), *sines = vector(3);
    double largest = 0;
    for (size_t i = 0; i < side_; ++i) {
      const double size = fabs(diagonal[i]) + (i + 1 < side_ ? fabs(off[i]) : 0);
      if (size > largest) largest = size;
    }
    const double negligible = largest * 0x1p-53;
    for (size_t l = 0; l < side_; ++l) {
      for (size_t sweep = 0; sweep < kMaxSweeps; ++sweep) {
        size_t m = l;
        while (m + 1 < side_ && fabs(off[m]) > negligible) ++m;
        if (m == l) break;
        double g = (diagonal[l + 1] - diagonal[l]) / (2 * off[l]);
        const double root = hypotenuse(g, 1);
        g = diagonal[m] - diagonal[l] + off[l] / (g < 0 ? g - root : g + root);
        double s = 1, c = 1, p = 0;
        size_t first = m;
        bool isSplit = false;
        for (size_t i = m; i-- > l;) {
          const double f = s * off[i], b = c * off[i], r = hypotenuse(f, g);
          if (i + 1 < m) off[i + 1] = r;
          if (r == 0) {
            diagonal[i + 1] = diagonal[i + 1] - p;
            isSplit = true;
            break;
          }
          first = i;
          s = f / r;
          c = g / r;
          g = diagonal[i + 1] - p;
          const double q = (diagonal[i] - g) * s + 2 * c * b;
          p = s * q;
          diagonal[i + 1] = g + p;
          g = c * q - b;
          cosines[i] = c;
          sines[i] = s;
        }
        forEachPart(side_, (m - first) * side_, [&](size_t begin, size_t length) {
          kernels_.rotate(a_ + begin, side_, first, m, cosines, sines, length);
        });
        if (isSplit) continue;
        diagonal[l] = diagonal[l] - p;
        off[l] = g;
      }
    }
  }

  /// Sorts the values, and writes the numbers of their rows to vector 1. Equal values keep their order.
  void sort() {
    double *values = vector(0), *order = vector(1);
    for (size_t i = 0; i < side_; ++i) {
      const double value = values[i];
      size_t k = i;
      for (; k > 0 && values[k - 1] < value; --k) {
        values[k] = values[k - 1];
        order[k] = order[k - 1];
      }
      values[k] = value;
      order[k] = static_cast<double>(i);
    }
  }

  /// Applies a reflection to the rows and columns from these on. u[0] is that of the first row.
  void reflect(size_t row, size_t column, const double* u, double half) {
    const size_t length = side_ - column;
    double* const sum = vector(2);
    sumRows(u, side_ - row, a_ + row * side_ + column, sum, length);
    forEachRow(row, side_, length,
               [&](size_t i) { kernels_.subtract(u[i - row] / half, sum, a_ + i * side_ + column, length); });
  }

  /// sum = the sum of weights[k] * row k
  void sumRows(const double* weights, size_t count, const double* rows, double* sum, size_t length) {
    memset(sum, 0, length * sizeof(double));
    forEachPart(length, count * length, [&](size_t begin, size_t partLength) {
      kernels_.addRows(rows + begin, side_, weights, count, sum + begin, partLength);
    });
  }

  /// Calls work(begin, length) for parts of `length` columns, on all threads if the work of all is worth it.
  template <class Work>
  void forEachPart(size_t length, size_t workload, Work work) {
    if (!isShared(workload)) return work(0, length);
    parallel::forEach((length + kTaskColumns - 1) / kTaskColumns, resources_.threads, [&](size_t i) {
      const FlushDenormals flush(resources_.flushDenormals);
      const size_t begin = i * kTaskColumns, rest = length - begin;
      work(begin, rest < kTaskColumns ? rest : kTaskColumns);
    });
  }

  /// Calls work(row) for all rows, in parts on all threads if their elements are worth it.
  template <class Work>
  void forEachRow(size_t first, size_t end, size_t length, Work work) {
    forEachPart(end - first, (end - first) * length, [&](size_t begin, size_t count) {
      for (size_t i = 0; i < count; ++i) work(first + begin + i);
    });
  }

  bool isShared(size_t workload) const {
    return resources_.threads > 1 && (parallel::always() || workload >= kMinShared);
  }

  const Resources& resources_;
  const EigenKernels& kernels_;
  const size_t side_;
  double* const a_;        ///< row-major
  double* const vectors_;  ///< kVectors of them
};
}  // namespace

size_t memoryDoubles(size_t side) { return side * side + kVectors * side; }

void eigenvectors(const Resources& resources, const float* matrix, size_t side, float* vectors, double* values) {
  if (side == 0) return;
  if (!isFinite(matrix, side * side)) {
    fillIdentity(vectors, side);
    for (size_t k = 0; k < side && values != nullptr; ++k) values[k] = NAN;
    return;
  }
  Decomposition decomposition(resources, matrix, side);
  decomposition.decompose();
  if (values != nullptr) memcpy(values, decomposition.values(), side * sizeof(double));
  for (size_t k = 0; k < side; ++k) {
    const double* const row = decomposition.rows() + decomposition.order(k) * side;
    for (size_t i = 0; i < side; ++i) vectors[i * side + k] = static_cast<float>(row[i]);
  }
}

void inverseRoot(const Resources& resources, const float* matrix, size_t side, const InverseRoot& root, float* out) {
  if (side == 0) return;
  if (!isFinite(matrix, side * side)) {
    memset(out, 0, side * side * sizeof(float));
    return;
  }
  Decomposition decomposition(resources, matrix, side);
  decomposition.decompose();
  decomposition.inverseRoot(root, out);
}

void orthonormalize(const Resources& resources, const float* matrix, size_t side, float* out) {
  if (side == 0) return;
  if (!isFinite(matrix, side * side)) return fillIdentity(out, side);
  Decomposition decomposition(resources, matrix, side);
  decomposition.orthonormalize();
  for (size_t i = 0; i < side * side; ++i) out[i] = static_cast<float>(decomposition.rows()[i]);
}

}  // namespace eigen
