// The interface of a kernel, the same for every algorithm and every instruction set. Plain data only: no code with
// external linkage and no STL. Otherwise the linker could keep one instruction set's copy of an inline function for
// every CPU.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/// The constants of the shared prologue and epilogue, which kernels/loop.h applies around the formula in one walk over
/// memory. Each constants row starts with one Pass. The order is the one of `Pass` in lib/engine/engine.ts.
struct Pass {
  float gradScale;    ///< grad = gradScale * grad; negative for maximize; includes the coefficient of clipNorm
  float clipValue;    ///< grad = clamp(grad, -clipValue, clipValue); skipped if infinite
  float l2;           ///< grad = grad + l2 * param; skipped if 0, because 0 * inf is NaN
  float decayFactor;  ///< param = decayFactor * param: decoupled weight decay
  float emaRate;      ///< ema = ema + emaRate * (param - ema), after the update
  float emaStart;     ///< not 0: in this step the ema starts as a copy of the param before the update
  float update = 0;   ///< the number of the param's update, modulo 2^24: the seed of the rounding of bfloat16 state
};
/// Of a step that no option but the learning rate scales.
const Pass kNeutralPass = {1, INFINITY, 0, 1, 0, 0};
constexpr size_t kPassFloats = sizeof(Pass) / sizeof(float);

// Partial sums cover fixed lengths. These are part of the definition of a result, so the JavaScript reference has the
// same numbers: chunkLength and pieceLength in lib/engine/engine.ts.
constexpr size_t kChunk = 16384;  ///< elements of a tensor or a vector
constexpr size_t kPiece = 1024;   ///< elements of a matrix row, or matrix rows in a product of columns

constexpr size_t kMinForRoots = 1024;  ///< `runWithFma` leaves shorter spans to `run`

/// The numbers that a state buffer holds: one per element, per matrix row or per matrix column of the param; or as many
/// as a matrix kernel asks for.
enum Layout : unsigned char { kElement, kRow, kColumn, kOwn };

constexpr size_t kMaxState = 6;
constexpr size_t kMaxConstants = 40;
constexpr size_t kMaxNumbers = 16;
constexpr size_t kMaxSums = 3;

/// The memory of one tensor, or of a part of it.
struct Span {
  float* param;
  float* grad;
  float* ema;  ///< or null
  float* state[kMaxState];
  size_t length;
  bool zeroGrad;          ///< set the gradient to 0 in the same walk
  bool prefetch = false;  ///< ask for memory ahead of the walk: faster on some CPUs for what is in none of their caches
};

/// State in bfloat16 is updated in groups of so many elements: a multiple of the lanes of every vector.
constexpr size_t kHalfGroup = 16;

/// A row of a table that a step updates, and its gradient.
struct SparseRow {
  float* grad;
  size_t row;
};

/// Distinct rows of a table.
struct RowList {
  const SparseRow* rows;
  size_t count;
  size_t known;   ///< the count, and the rows behind them that other calls update: their memory is prefetched
  size_t length;  ///< of a row
};

/// A matrix as a factor of a product: element (i, k) is data[i * rowStride + k * columnStride]. A transposed matrix is
/// the same memory with its strides exchanged.
struct Factor {
  const float* data;
  size_t rowStride, columnStride;
};

/// out = a b. An element is the sum of `depth` products, added in their order.
struct Product {
  Factor a, b;
  float* out;  ///< row-major
  size_t rows, columns, depth;
  bool isSymmetric;  ///< only the elements on and below the diagonal are computed; the others are copies of them
};

/// How the inverse root of a symmetric matrix A is computed: (A / divisor + eps I) to the power -1/4, or -1/2. All
/// eigenvalues are raised by the same number if the smallest would be below eps.
struct InverseRoot {
  double divisor, eps;
  bool isQuarter;
};

/// What a matrix kernel asks of the engine, which has the threads.
struct MatrixOps {
  void* engine;
  void (*multiply)(void* engine, const Product& product);
  /// y = a * x + b * y
  void (*combine)(void* engine, float a, const float* x, float b, float* y, size_t length);
  /// x = x / divisor
  void (*divide)(void* engine, float* x, float divisor, size_t length);
  /// The norm of all elements, in float64.
  double (*norm)(void* engine, const float* x, size_t length);
  // The decompositions of engine/eigen.h. They use the doubles of the matrix.
  void (*eigenvectors)(void* engine, const float* matrix, size_t side, float* vectors);
  void (*inverseRoot)(void* engine, const float* matrix, size_t side, const InverseRoot& root, float* out);
  void (*orthonormalize)(void* engine, const float* matrix, size_t side, float* out);
};

/// The dimensions of a param that a matrix kernel updates. A param without a shape is a column.
struct MatrixShape {
  size_t rows, columns;
  size_t side;  ///< the most rows or columns of a matrix that is decomposed
};

/// The temporary memory of a matrix kernel.
struct MatrixMemory {
  size_t floats;        ///< the matrix included
  size_t decomposed;    ///< side of the largest matrix that is decomposed
  MatrixShape product;  ///< no product has more rows and columns, and `side` bounds the number of products that it sums
};

/// The matrix of a matrix kernel, between its two walks.
struct Matrix {
  float* data;  ///< row-major; behind it is the temporary memory that the kernel has asked for
  size_t rows, columns;
  double norm;          ///< of all elements
  float* const* state;  ///< the state buffers, whole
  size_t side;          ///< of MatrixShape
  double* doubles;
};

/// One algorithm for one instruction set: a table row of kernels/all.h.
struct Kernel {
  const char* name;
  const char* state;      ///< names of the state buffers, in order
  const char* constants;  ///< names of the constants, in order
  size_t stateCount, constantCount;
  Layout layout[kMaxState];
  bool perRow;  ///< a span must be one whole matrix row; other kernels accept any part of a tensor
  void (*run)(const Pass& pass, const float* constants, const Span& span);

  /// The same bits as `run`, with a part of the roots computed with FMA; faster on some CPUs. The first one does so
  /// only where no factor but the learning rate scales the gradient and none the param. Null for most kernels.
  void (*runWithFma[2])(const Pass& pass, const float* constants, const Span& span);

  /// Updates rows of a table. The span is the whole table, without a gradient. Null for kernels that take no rows.
  void (*runSparse)(const Pass& pass, const float* constants, const Span& table, const RowList& list);

  /// The same as `run` with state in bfloat16: uint16_t behind the pointers of the span. The length is a multiple of
  /// kHalfGroup, and `element` the index of the first element in the whole param. Null for kernels that have no such
  /// state.
  void (*runHalves)(const Pass& pass, const float* constants, const Span& span, size_t element);

  // Measured walks only; null for all other kernels.

  /// First walk over each part of a tensor: adds the sums of squares of two vectors to `sums[0]` and `sums[1]`.
  void (*measure)(const Pass& pass, const float* constants, const Span& span, double* sums);
  /// Computes constants from both L2 norms of the whole tensor and its length.
  void (*resolve)(float* constants, double first, double second, size_t length);

  // Kernels with state per matrix row and per matrix column only; null for all other kernels. Their `measure` and `run`
  // find the roots of the columns' means in the place of the second state buffer.

  /// Before `measure`: accumulates the mean square of the gradient of one whole matrix row in its state.
  void (*accumulateRow)(const Pass& pass, const float* constants, const Span& span);
  /// Adds the squares of the gradient in some rows to one sum for each column, in the order of the rows. The span is
  /// the part of the first of these rows that lies in those columns; the whole row has `columns` of them.
  void (*addColumnSquares)(const Pass& pass, const Span& span, size_t rows, size_t columns, double* sums);
  /// Accumulates the means, from the sums of all rows, in the state of `length` columns.
  void (*accumulateColumns)(const float* constants, const double* sums, size_t rows, float* state, size_t length);
  /// Computes constants from the mean of the state of all matrix rows.
  void (*resolveMean)(float* constants, double mean);

  /// Whether the state per matrix row and column are maxima. `run` updates that of its row, and raises the next maxima
  /// of the columns. These begin as 0, in memory of the engine, another one in each thread, that stands behind the
  /// state buffers: span.state[stateCount].
  bool hasMaxima;

  // Kernels with numbers only; null for all other kernels. Numbers are in float64, and all tensors of a scope share
  // them.

  const char* numbers;  ///< their names, in order; never null
  size_t numberCount, sumCount;
  /// First walk over each part of a tensor: adds products of pairs of vectors to `sums`.
  void (*sum)(const Pass& pass, const float* constants, const Span& span, double* sums);
  /// Computes the numbers of a scope from the sums over all its tensors.
  void (*decide)(double* numbers, const double* sums);
  /// Computes constants of one tensor from the numbers.
  void (*resolveNumbers)(float* constants, const double* numbers);

  // Matrix kernels only; null for all other kernels. `run` is their second walk: it finds the matrix in the place of
  // the first state buffer.

  /// First walk over each part of a tensor: updates the state, and writes the elements of the matrix.
  void (*fill)(const Pass& pass, const float* constants, const Span& span, float* matrix);
  /// Between the walks: returns the matrix of the second walk, and computes its constants.
  float* (*transform)(float* constants, const Matrix& matrix, const MatrixOps& ops);
  /// What `transform` needs.
  MatrixMemory (*matrixMemory)(const MatrixShape& shape);
  /// The length of state buffer `s`, whose layout is kOwn; null if there is none.
  size_t (*ownLength)(size_t s, const MatrixShape& shape);
};

/// The element type of a vector. The first two values index the tables of Float64Kernels.
enum Element : unsigned char { kFloat, kDouble, kNoElement };

/// The operands of out = a * x + b * y and, if there is a z, of the dot product of out and z.
struct AxpbyOperands {
  double a;
  const void* x;
  double b;
  const void* y;
  void* out;
  const void* z;
};

/// Some rows of a matrix: `length` rows, the first of them `begin`.
struct RowRange {
  size_t begin, length;
};

/// Operations on vectors of float32 or float64, computed in float64. Each table is indexed by the Element of each
/// vector. kernels/linalg.h defines the operations.
struct Float64Kernels {
  double (*dot[2][2])(const void* x, const void* y, size_t length);
  double (*axpby[2][2][2][3])(const AxpbyOperands& operands, size_t length);
  void (*multiply[2][2])(double factor, const void* x, void* out, size_t length);
  double (*maxAbs[2])(const void* x, size_t length);
  double (*maxAbsDifference[2][2])(const void* x, const void* y, size_t length);
  /// `count` is a multiple of 4.
  void (*addColumns)(const double* const* columns, const double* weights, size_t count, RowRange rows, double* x);
};

/// Some rows of a table of float32, by their numbers.
struct TableRows {
  const float* table;
  const uint32_t* names;
  size_t count;
};

/// Cuts names of rows into runs. Run i ends before the name `ends[i]`, and the next one begins there.
struct RowRuns {
  const uint32_t* ends;
  size_t count;
};

/// What a sparse model reads of its tables. kernels/table_rows.h defines the operations.
struct TableKernels {
  void (*gather)(const TableRows& rows, size_t width, float* out);
  void (*scale)(const TableRows& rows, const float* factors, size_t width, float* out);
  /// Both have the same count.
  void (*dots)(const TableRows& a, const TableRows& b, size_t width, float* out);
  void (*mean)(const TableRows& rows, size_t width, float* out);
  void (*sums)(const TableRows& rows, const RowRuns& runs, size_t width, float* out);
};

/// The parts of a product of matrices. kernels/matmul.h defines them; engine/matmul.cpp puts them together.
struct MatmulKernels {
  size_t tileRows, tileColumns;
  /// Computes a tile of at most tileRows x tileColumns elements of `out`, from packed factors. `a` has tileRows numbers
  /// for each of the `depth` products, `b` has tileColumns. Unless `isFirst`, the products are added to `out`.
  void (*tile)(const float* a, const float* b, size_t depth, bool isFirst, float* out, size_t stride, size_t rows,
               size_t columns);
  /// y = a * x + b * y
  void (*combine)(float a, const float* x, float b, float* y, size_t length);
  /// x = x / divisor
  void (*divide)(float* x, float divisor, size_t length);
};

/// Steps of the decompositions of symmetric matrices, in float64. kernels/eigen.h defines them; engine/eigen.cpp puts
/// them together.
struct EigenKernels {
  /// sum = sum + the sum of weights[k] * row k, k ascending. Row k starts at rows + k * stride.
  void (*addRows)(const double* rows, size_t stride, const double* weights, size_t count, double* sum, size_t length);
  /// y = y - a * x
  void (*subtract)(double a, const double* x, double* y, size_t length);
  /// z = z - (a * x + b * y)
  void (*subtractBoth)(double a, const double* x, double b, const double* y, double* z, size_t length);
  /// Turns rows i and i + 1 by angle i, for each i from last - 1 down to first.
  void (*rotate)(double* rows, size_t stride, size_t first, size_t last, const double* cosines, const double* sines,
                 size_t length);
};

/// Conversions of bfloat16. kernels/bfloat16.h defines them.
struct Bfloat16Kernels {
  /// rounded = x + factor * residual, to nearest; rest = what is lost. The arrays do not overlap.
  void (*compress)(const float* x, const float* residual, float factor, uint16_t* rounded, float* rest, size_t length);
  /// Exact.
  void (*widen)(const uint16_t* from, float* to, size_t length);
};

/// All code that is compiled for one instruction set.
struct KernelSet {
  const char* isa;
  bool canPrefetch;  ///< whether walks heed `prefetch` of struct Span
  const Kernel* kernels;
  size_t count;
  /// Sum of squares in float64, added in the same order by every instruction set.
  double (*sumSquares)(const float* x, size_t length);
  /// target = target + rate * (source - target)
  void (*lerp)(float* target, const float* source, float rate, size_t length);
  /// target = target + source
  void (*add)(float* target, const float* source, size_t length);
  /// x = factor * x
  void (*scale)(float* x, float factor, size_t length);
  Float64Kernels float64;
  TableKernels tables;
  MatmulKernels matmul;
  EigenKernels eigen;
  Bfloat16Kernels bfloat16;
};

// A kernel spells its state and its constants. The constructor of an optimizer compares the spelling with the
// TypeScript declaration, through `confirm` (lib/engine/native.ts).
#define STATE(...) static constexpr char kState[] = #__VA_ARGS__;
/// Only for a kernel with state per matrix row or column.
#define LAYOUT(...) static constexpr Layout kLayout[] = {__VA_ARGS__};
#define CONSTANTS(...) \
  float __VA_ARGS__;   \
  static constexpr char kConstants[] = #__VA_ARGS__;
/// Only for a kernel with numbers: inside its struct Numbers.
#define NUMBERS(...)  \
  double __VA_ARGS__; \
  static constexpr char kNames[] = #__VA_ARGS__;
