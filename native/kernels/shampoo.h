// Shampoo. Shi et al. 2023, Algorithm 2, https://arxiv.org/abs/2309.06497; without momentum and grafting it is
// Algorithm 1 of Gupta, Koren & Singer 2018, https://arxiv.org/abs/1802.09568. The first update starts all state anew.
namespace ISA {
/// What the four forms share.
struct ShampooFormula {
  CONSTANTS(isFirst, beta1, oneMinusBeta1, biasCorrection1, beta2, factorRate, divisor, eps, isRefreshed,
            isPreconditioned, grafting, graftingBeta, graftingRate, graftingCorrection, graftingEps, lr)

  template <class V>
  void average(V grad, V& expAvg) const {
    if (beta1 == 0) {
      expAvg = grad;
    } else {
      expAvg = isFirst != 0 ? V(oneMinusBeta1) * grad : V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    }
  }
  template <class V>
  void averageSquare(V grad, V& squareAvg) const {
    const V square = (V(graftingRate) * grad) * grad;
    squareAvg = isFirst != 0 ? square : V(graftingBeta) * squareAvg + square;
  }

  template <class V>
  void update(V& param, V matrix) const {
    param = param - V(lr) * matrix;
  }

  static size_t least(size_t a, size_t b) { return a < b ? a : b; }

  /// Sum of the squares of the lengths of the parts that `length` is cut into.
  static size_t squares(size_t length, size_t side) {
    const size_t rest = length % side;
    return length / side * side * side + rest * rest;
  }
  static size_t parts(size_t length, size_t side) { return (length + side - 1) / side; }

  /// Two matrices for the rows of each block, or for its columns.
  static size_t leftLength(const MatrixShape& shape) {
    return parts(shape.columns, shape.side) * squares(shape.rows, shape.side);
  }
  static size_t rightLength(const MatrixShape& shape) {
    return parts(shape.rows, shape.side) * squares(shape.columns, shape.side);
  }

  /// The whole matrix; for a block its factor and three matrices of its dimensions.
  static MatrixMemory matrixMemory(const MatrixShape& shape) {
    const size_t rows = least(shape.rows, shape.side), columns = least(shape.columns, shape.side);
    const size_t most = rows < columns ? columns : rows;
    return {shape.rows * shape.columns + most * most + 3 * rows * columns, most, {most, most, most}};
  }

  /// The memory of a step.
  struct Memory {
    const Matrix& matrix;
    const MatrixOps& ops;
    const float *expAvg, *squareAvg;  ///< of elements; the second may be null
    float *gram, *direction, *half, *whole;
  };

  /// A part of the matrix, and the factors and roots of its sides. Those on the right may be null.
  struct Block {
    size_t begin;  ///< of its first element in the matrix
    size_t rows, columns;
    float *left, *leftRoot, *right, *rightRoot;
  };

  void updateFactor(const Memory& memory, Factor a, Factor b, size_t side, size_t depth, float* factor, float* root,
                    bool isQuarter) const {
    const MatrixOps& ops = memory.ops;
    if (isFirst != 0) {
      memset(factor, 0, side * side * sizeof(float));
      // The root is I until the first one is computed.
      for (size_t i = 0; i < side * side; ++i) root[i] = i % (side + 1) == 0 ? 1.0f : 0.0f;
    }
    ops.multiply(ops.engine, {a, b, memory.gram, side, side, depth, true});
    ops.combine(ops.engine, factorRate, memory.gram, beta2, factor, side * side);
    if (isRefreshed == 0) return;
    const InverseRoot power = {static_cast<double>(divisor), static_cast<double>(eps), isQuarter};
    ops.inverseRoot(ops.engine, factor, side, power, root);
  }

  /// Calls element(part, i, n) for all elements of a block: i is the place in the matrix, n the one in the block.
  template <class Element>
  static void forEachElement(const Matrix& matrix, const Block& block, Element element) {
    const bool isWhole = block.columns == matrix.columns;  // its rows follow one another in the matrix, too
    const size_t runs = isWhole ? 1 : block.rows, length = isWhole ? block.rows * block.columns : block.columns;
    for (size_t run = 0; run < runs; ++run) {
      const size_t i = block.begin + run * matrix.columns, n = run * length;
      size_t j = 0;
      for (; j + Vec::kLanes <= length; j += Vec::kLanes) element(Whole(), i + j, n + j);
      if (j < length) element(Part{length - j}, i + j, n + j);
    }
  }

  /// Replaces a block of gradients by its update.
  void transformBlock(const Memory& memory, const Block& block) const {
    const Matrix& matrix = memory.matrix;
    const MatrixOps& ops = memory.ops;
    const size_t rows = block.rows, columns = block.columns, length = rows * columns;
    float* const data = matrix.data;
    const Factor grads = {data + block.begin, matrix.columns, 1}, turned = {data + block.begin, 1, matrix.columns};
    updateFactor(memory, grads, turned, rows, columns, block.left, block.leftRoot, block.right != nullptr);
    if (block.right != nullptr) {
      updateFactor(memory, turned, grads, columns, rows, block.right, block.rightRoot, true);
    }
    forEachElement(matrix, block, [&](auto part, size_t i, size_t n) {
      part.store(part.load(memory.expAvg + i) / Vec(biasCorrection1), memory.direction + n);
    });
    const float* update = memory.direction;
    if (isPreconditioned != 0) {
      const Factor direction = {memory.direction, columns, 1}, left = {block.leftRoot, rows, 1};
      ops.multiply(ops.engine, {left, direction, memory.half, rows, columns, rows, false});
      update = memory.half;
      if (block.right != nullptr) {
        const Factor half = {memory.half, columns, 1}, right = {block.rightRoot, columns, 1};
        ops.multiply(ops.engine, {half, right, memory.whole, rows, columns, columns, false});
        update = memory.whole;
      }
    }
    float scale = 1;
    if (grafting != 0) {
      float* grafted = memory.direction;
      if (memory.squareAvg != nullptr) {
        forEachElement(matrix, block, [&](auto part, size_t i, size_t n) {
          const Vec mean = part.load(memory.squareAvg + i) / Vec(graftingCorrection);
          part.store(part.load(grafted + n) / (sqrt(mean) + Vec(graftingEps)), grafted + n);
        });
      }
      if (isPreconditioned != 0) {
        const double norm = ops.norm(ops.engine, grafted, length);
        const double own = ops.norm(ops.engine, update, length);
        scale = own == 0 ? 0 : static_cast<float>(norm / (own + 1e-16));
      }
    }
    forEachElement(matrix, block,
                   [&](auto part, size_t i, size_t n) { part.store(Vec(scale) * part.load(update + n), data + i); });
  }

  /// `factors`: the number of the first state buffer behind those of elements.
  float* transformBlocks(const Matrix& matrix, const MatrixOps& ops, size_t factors, bool hasRight) const {
    const size_t side = matrix.side;
    const size_t most = matrixMemory({matrix.rows, matrix.columns, side}).decomposed;
    const size_t blockLength = least(matrix.rows, side) * least(matrix.columns, side);
    float* const gram = matrix.data + matrix.rows * matrix.columns;
    float* const direction = gram + most * most;
    const Memory memory = {matrix, ops,       matrix.state[0],         factors > 1 ? matrix.state[1] : nullptr,
                           gram,   direction, direction + blockLength, direction + 2 * blockLength};
    float* const* const state = matrix.state + factors;
    size_t left = 0, right = 0;
    for (size_t row = 0; row < matrix.rows; row += side) {
      for (size_t column = 0; column < matrix.columns; column += side) {
        const size_t rows = least(side, matrix.rows - row), columns = least(side, matrix.columns - column);
        Block block = {row * matrix.columns + column, rows, columns, state[0] + left, nullptr, nullptr, nullptr};
        block.leftRoot = state[hasRight ? 2 : 1] + left;
        if (hasRight) {
          block.right = state[1] + right;
          block.rightRoot = state[3] + right;
        }
        transformBlock(memory, block);
        left += rows * rows;
        right += columns * columns;
      }
    }
    return matrix.data;
  }
};

/// The forms differ in whether they keep squares for the grafting, and whether there are columns: a vector is a column
/// itself, and has only a factor on the left.
template <bool isGrafted, bool isMatrix>
struct ShampooForm : ShampooFormula {
  /// The number of the first state buffer behind those of elements.
  static constexpr size_t kFactors = isGrafted ? 2 : 1;

  template <class V, class... Squares>
  V fill(V grad, V& expAvg, Squares&... squareAvg) const {
    static_assert(sizeof...(squareAvg) == kFactors - 1, "");
    average(grad, expAvg);
    (averageSquare(grad, squareAvg), ...);
    return grad;
  }
  float* transform(const float*, const Matrix& matrix, const MatrixOps& ops) {
    return transformBlocks(matrix, ops, kFactors, isMatrix);
  }
  /// Factors and roots of a matrix alternate between left and right.
  static size_t ownLength(size_t s, const MatrixShape& shape) {
    return isMatrix && (s - kFactors) % 2 == 1 ? rightLength(shape) : leftLength(shape);
  }
};

struct Shampoo : ShampooForm<false, true> {
  STATE(expAvg, leftFactor, rightFactor, leftRoot, rightRoot)
  LAYOUT(kElement, kOwn, kOwn, kOwn, kOwn)
};
struct ShampooGrafted : ShampooForm<true, true> {
  STATE(expAvg, squareAvg, leftFactor, rightFactor, leftRoot, rightRoot)
  LAYOUT(kElement, kElement, kOwn, kOwn, kOwn, kOwn)
};
struct ShampooVector : ShampooForm<false, false> {
  STATE(expAvg, leftFactor, leftRoot)
  LAYOUT(kElement, kOwn, kOwn)
};
struct ShampooVectorGrafted : ShampooForm<true, false> {
  STATE(expAvg, squareAvg, leftFactor, leftRoot)
  LAYOUT(kElement, kElement, kOwn, kOwn)
};
}  // namespace ISA
