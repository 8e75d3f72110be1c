// Muon. Jordan 2024, https://kellerjordan.github.io/posts/muon/, in float32.
namespace ISA {
struct Muon {
  STATE(momentumBuffer)
  CONSTANTS(momentum, nesterov, eps, lr, adjustment, rate, nsSteps, a0, b0, c0, a1, b1, c1, a2, b2, c2, a3, b3, c3, a4,
            b4, c4, a5, b5, c5, a6, b6, c6, a7, b7, c7, a8, b8, c8, a9, b9, c9)
  static constexpr size_t kFirstCoefficient = 7, kMaxTriples = 10;

  template <class V>
  V fill(V grad, V& momentumBuffer) const {
    momentumBuffer = V(momentum) * momentumBuffer + grad;
    return nesterov != 0 ? grad + V(momentum) * momentumBuffer : momentumBuffer;
  }

  /// X, its successor, A and its square.
  static MatrixMemory matrixMemory(const MatrixShape& shape) {
    const size_t rows = shape.rows, columns = shape.columns;
    const size_t side = rows < columns ? rows : columns, most = rows < columns ? columns : rows;
    return {2 * (rows * columns + side * side), 0, {most, most, most}};
  }

  /// Newton-Schulz iteration: brings all singular values near 1.
  float* transform(const float* constants, const Matrix& matrix, const MatrixOps& ops) {
    const size_t rows = matrix.rows, columns = matrix.columns, length = rows * columns;
    const bool isWide = rows <= columns;
    const size_t side = isWide ? rows : columns;
    float* x = matrix.data;
    float* next = x + length;
    float* const gram = next + length;
    float* const square = gram + side * side;
    const Factor symmetric = {square, side, 1}, gramFactor = {gram, side, 1};

    const float norm = static_cast<float>(matrix.norm);
    ops.divide(ops.engine, x, norm > eps ? norm : eps, length);
    for (size_t step = 0; step < static_cast<size_t>(nsSteps); ++step) {
      const float* const c = constants + kFirstCoefficient + 3 * (step < kMaxTriples ? step : kMaxTriples - 1);
      const Factor plain = {x, columns, 1}, transposed = {x, 1, columns};
      // X Xt, or Xt X if that has fewer rows.
      const Factor wide = isWide ? plain : transposed, tall = isWide ? transposed : plain;
      ops.multiply(ops.engine, {wide, tall, gram, side, side, length / side, true});
      ops.multiply(ops.engine, {gramFactor, gramFactor, square, side, side, side, true});
      ops.combine(ops.engine, c[1], gram, c[2], square, side * side);
      const Factor left = isWide ? symmetric : plain, right = isWide ? plain : symmetric;
      ops.multiply(ops.engine, {left, right, next, rows, columns, side, false});
      ops.combine(ops.engine, c[0], x, 1, next, length);
      float* const before = x;
      x = next;
      next = before;
    }
    rate = static_cast<float>(static_cast<double>(lr) * adjusted(rows, columns));
    return x;
  }

  template <class V>
  void update(V& param, V matrix) const {
    param = param - V(rate) * matrix;
  }

 private:
  /// 1 is 'original' for rows of outputs, 2 the same for columns of outputs, 3 'match_rms_adamw'.
  double adjusted(size_t rowCount, size_t columnCount) const {
    const double rows = static_cast<double>(rowCount), columns = static_cast<double>(columnCount);
    if (adjustment == 1) return rows > columns ? ::sqrt(rows / columns) : 1;
    if (adjustment == 2) return columns > rows ? ::sqrt(columns / rows) : 1;
    return adjustment == 3 ? 0.2 * ::sqrt(rows > columns ? rows : columns) : 1;
  }
};
}  // namespace ISA
