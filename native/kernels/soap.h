// SOAP. Vyas et al. 2024, Algorithm 3, https://arxiv.org/abs/2409.11321. The first update starts all state anew, and
// moves nothing.
namespace ISA {
/// What matrices and vectors share: Adam, whose update may be divided by its root mean square.
struct SoapFormula {
  CONSTANTS(isFirst, beta1, oneMinusBeta1, beta2, oneMinusBeta2, shampooBeta, oneMinusShampooBeta, eps, normalizeGrads,
            isRefreshed, stepSize, afterDecay)

  template <class V>
  void average(V grad, V& expAvg) const {
    expAvg = isFirst != 0 ? V(0.0f) : V(beta1) * expAvg + V(oneMinusBeta1) * grad;
  }
  template <class V>
  void averageSquare(V grad, V& expAvgSq) const {
    expAvgSq = isFirst != 0 ? V(0.0f) : V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
  }
  template <class V>
  V direction(V expAvg, V expAvgSq) const {
    return isFirst != 0 ? V(0.0f) : expAvg / (sqrt(expAvgSq) + V(eps));
  }

  void normalize(const MatrixOps& ops, float* matrix, size_t length) const {
    if (normalizeGrads == 0) return;
    const double mean = ops.norm(ops.engine, matrix, length) / ::sqrt(static_cast<double>(length));
    ops.divide(ops.engine, matrix, static_cast<float>(1e-30 + mean), length);
  }

  /// The decay comes after the update.
  template <class V>
  void update(V& param, V matrix) const {
    param = V(afterDecay) * (param - V(stepSize) * matrix);
  }
};

struct SoapVector : SoapFormula {
  STATE(expAvg, expAvgSq)
  template <class V>
  V fill(V grad, V& expAvg, V& expAvgSq) const {
    average(grad, expAvg);
    averageSquare(grad, expAvgSq);
    return direction(expAvg, expAvgSq);
  }
  static MatrixMemory matrixMemory(const MatrixShape& shape) { return {shape.rows * shape.columns, 0, {0, 0, 0}}; }
  float* transform(const float*, const Matrix& matrix, const MatrixOps& ops) {
    normalize(ops, matrix.data, matrix.rows * matrix.columns);
    return matrix.data;
  }
};

struct Soap : SoapFormula {
  STATE(expAvg, expAvgSq, leftFactor, rightFactor, leftBasis, rightBasis)
  LAYOUT(kElement, kElement, kOwn, kOwn, kOwn, kOwn)
  template <class V>
  V fill(V grad, V& expAvg, V&) const {
    average(grad, expAvg);
    return grad;
  }

  static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

  /// A side that is too long has neither a factor nor a basis.
  static size_t ownLength(size_t s, const MatrixShape& shape) {
    const size_t length = s % 2 == 0 ? shape.rows : shape.columns;
    return length <= shape.side ? length * length : 0;
  }

  /// The matrix, three of its dimensions, and for the longer side two squares and a vector.
  static MatrixMemory matrixMemory(const MatrixShape& shape) {
    const size_t left = shape.rows <= shape.side ? shape.rows : 0;
    const size_t right = shape.columns <= shape.side ? shape.columns : 0;
    const size_t side = larger(left, right), most = larger(shape.rows, shape.columns);
    // A product on one side only has that many rows or columns.
    const MatrixShape product = {right == 0 ? left : most, left == 0 ? right : most, most};
    return {4 * shape.rows * shape.columns + 2 * side * side + side, side, product};
  }

  float* transform(const float*, const Matrix& matrix, const MatrixOps& ops) {
    const size_t rows = matrix.rows, columns = matrix.columns, length = rows * columns;
    const bool hasLeft = rows <= matrix.side, hasRight = columns <= matrix.side;
    float *const expAvg = matrix.state[0], *const expAvgSq = matrix.state[1];
    float *const leftBasis = matrix.state[4], *const rightBasis = matrix.state[5];
    float* const temporary[] = {matrix.data + length, matrix.data + 2 * length, matrix.data + 3 * length};
    float* const square = matrix.data + 4 * length;
    const Factor grads = {matrix.data, columns, 1}, turned = {matrix.data, 1, columns};
    const Side left = {rows, matrix.state[2], leftBasis, grads, turned, columns};
    const Side right = {columns, matrix.state[3], rightBasis, turned, grads, rows};
    if (isFirst != 0) {
      memset(expAvgSq, 0, length * sizeof(float));
      if (hasLeft) start(ops, left, square);
      if (hasRight) start(ops, right, square);
      memset(matrix.data, 0, length * sizeof(float));
      return matrix.data;
    }
    const Basis into = {hasLeft ? leftBasis : nullptr, hasRight ? rightBasis : nullptr, rows, columns, true};
    Basis back = into;
    back.isInto = false;
    const float* const grad = turn(ops, into, matrix.data, temporary[0], temporary[1]);
    // One of the two holds the gradient now.
    float* const other = grad == temporary[0] ? temporary[1] : temporary[0];
    const float* const average = turn(ops, into, expAvg, other, temporary[2]);
    float* const adam = average == other ? other : temporary[2];
    forEachVector(length, [&](auto part, size_t i) {
      Vec mean = part.load(expAvgSq + i);
      averageSquare(part.load(grad + i), mean);
      part.store(mean, expAvgSq + i);
      part.store(direction(part.load(average + i), mean), adam + i);
    });
    float* const rest = adam == other ? temporary[2] : other;
    float* const third = adam == temporary[0] || rest == temporary[0] ? temporary[1] : temporary[0];
    const float* const turnedBack = turn(ops, back, adam, rest, third);
    float* const result = const_cast<float*>(turnedBack);  // one of the temporary matrices
    normalize(ops, result, length);
    if (hasLeft) updateFactor(ops, left, square);
    if (hasRight) updateFactor(ops, right, square);
    if (isRefreshed != 0) {
      float* const sorted = matrix.data;  // the gradient is not needed any more
      if (hasLeft) {
        refresh(ops, left, square, matrix.doubles);
        for (size_t i = 0; i < rows; ++i) {
          memcpy(sorted + i * columns, expAvgSq + indexAt(matrix.doubles, i) * columns, columns * sizeof(float));
        }
        memcpy(expAvgSq, sorted, length * sizeof(float));
        orthonormalize(ops, left, square);
      }
      if (hasRight) {
        refresh(ops, right, square, matrix.doubles);
        for (size_t i = 0; i < rows; ++i) {
          for (size_t j = 0; j < columns; ++j) {
            sorted[i * columns + j] = expAvgSq[i * columns + indexAt(matrix.doubles, j)];
          }
        }
        memcpy(expAvgSq, sorted, length * sizeof(float));
        orthonormalize(ops, right, square);
      }
    }
    return result;
  }

 private:
  /// One side of the matrix.
  struct Side {
    size_t length;
    float *factor, *basis;
    Factor grads, turned;  ///< their product is the one that the factor averages
    size_t depth;
  };

  /// Turns a matrix into the bases, or back. A basis may be null: then this side is not turned.
  struct Basis {
    const float *left, *right;
    size_t rows, columns;
    bool isInto;
  };

  template <class Work>
  static void forEachVector(size_t length, Work work) {
    size_t i = 0;
    for (; i + Vec::kLanes <= length; i += Vec::kLanes) work(Whole(), i);
    if (i < length) work(Part{length - i}, i);
  }

  /// Returns the array with the result: `from`, if there is nothing to turn, or one of the two.
  static const float* turn(const MatrixOps& ops, const Basis& basis, const float* from, float* first, float* second) {
    const size_t rows = basis.rows, columns = basis.columns;
    if (basis.left != nullptr) {
      const Factor left = basis.isInto ? Factor{basis.left, 1, rows} : Factor{basis.left, rows, 1};
      ops.multiply(ops.engine, {left, {from, columns, 1}, first, rows, columns, rows, false});
      from = first;
    }
    if (basis.right != nullptr) {
      float* const out = from == first ? second : first;
      const Factor right = basis.isInto ? Factor{basis.right, columns, 1} : Factor{basis.right, 1, columns};
      ops.multiply(ops.engine, {{from, columns, 1}, right, out, rows, columns, columns, false});
      from = out;
    }
    return from;
  }

  void updateFactor(const MatrixOps& ops, const Side& side, float* square) const {
    ops.multiply(ops.engine, {side.grads, side.turned, square, side.length, side.length, side.depth, true});
    ops.combine(ops.engine, oneMinusShampooBeta, square, shampooBeta, side.factor, side.length * side.length);
  }

  void start(const MatrixOps& ops, const Side& side, float* square) const {
    memset(side.factor, 0, side.length * side.length * sizeof(float));
    updateFactor(ops, side, square);
    ops.eigenvectors(ops.engine, side.factor, side.length, side.basis);
  }

  static size_t indexAt(const double* order, size_t k) { return static_cast<size_t>(order[k]); }

  /// Sorts the columns of factor times basis by the estimates of the eigenvalues, and leaves them behind the first
  /// square. Writes their numbers to `order`.
  static void refresh(const MatrixOps& ops, const Side& side, float* square, double* order) {
    const size_t length = side.length;
    float* const sorted = square + length * length;
    float* const estimates = sorted + length * length;
    const Factor factor = {side.factor, length, 1}, basis = {side.basis, length, 1};
    ops.multiply(ops.engine, {factor, basis, square, length, length, length, false});
    memset(estimates, 0, length * sizeof(float));
    for (size_t k = 0; k < length; ++k) {
      const float *product = square + k * length, *vector = side.basis + k * length;
      for (size_t j = 0; j < length; ++j) estimates[j] = estimates[j] + product[j] * vector[j];
    }
    for (size_t i = 0; i < length; ++i) {
      size_t k = i;
      for (; k > 0 && estimates[indexAt(order, k - 1)] < estimates[i]; --k) order[k] = order[k - 1];
      order[k] = static_cast<double>(i);
    }
    for (size_t i = 0; i < length; ++i) {
      for (size_t j = 0; j < length; ++j) sorted[i * length + j] = square[i * length + indexAt(order, j)];
    }
  }

  static void orthonormalize(const MatrixOps& ops, const Side& side, float* square) {
    ops.orthonormalize(ops.engine, square + side.length * side.length, side.length, side.basis);
  }
};
}  // namespace ISA
