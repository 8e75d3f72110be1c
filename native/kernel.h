// What a kernel is, whatever its algorithm and its instruction set. Plain data: no code with external linkage, no STL,
// so that the linker can't pick one instruction set's copy of an inline function for every CPU.
#pragma once
#include <stddef.h>

/// What all optimizers share, applied around their formula in one walk over memory. A row of constants begins with it.
struct Pass {
  float gradScale;  ///< grad = gradScale * grad; maximize is its sign, the coefficient of clipNorm is folded in
  float clipValue;  ///< grad = clamp(grad, -clipValue, clipValue); infinite: not at all
  float l2;         ///< grad = grad + l2 * param; 0: not at all, for 0 * inf is NaN
  float decayFactor;       ///< param = decayFactor * param: decoupled weight decay
  float emaRate;    ///< ema = ema + emaRate * (param - ema), after the update
  float emaStart;   ///< not 0: ema starts as a copy of param in this step
};
constexpr size_t kPassFloats = sizeof(Pass) / sizeof(float);

/// How many numbers a state buffer holds: one an element, a row or a column of the param.
enum Layout : unsigned char { kElement, kRow, kColumn };

constexpr size_t kMaxState = 4;
constexpr size_t kMaxConstants = 16;
/// Columns that are summed together, so that each line of memory is read once.
constexpr size_t kColumnGroup = 64;

/// The memory of one tensor, or of a part of it.
struct Span {
  float* param;
  float* grad;
  float* ema;  ///< or null
  float* state[kMaxState];
  size_t length;
  bool zeroGrad;  ///< whether the gradient is set to 0 in the same walk
};

/// One algorithm for one instruction set.
struct Kernel {
  const char* name;
  const char* state;      ///< the names of its state buffers, in order
  const char* constants;  ///< the names of its constants, in order
  Layout layout[kMaxState];
  bool perRow;  ///< it takes means itself: a span is one whole row, where others are content with a part of one
  void (*run)(const Pass& pass, const float* constants, const Span& span);
  /// Of a kernel that needs two norms of the whole tensor, a first walk over each part of it: adds the sums of squares.
  /// Null for all others.
  void (*measure)(const Pass& pass, const float* constants, const Span& span, double* sums);
  /// Turns both norms, and the length of the tensor, into constants.
  void (*resolve)(float* constants, double first, double second, size_t length);
  /// Of a kernel that needs the means of all rows and columns before it measures: takes the mean square of the gradient
  /// over one whole row into its state. Null for all others.
  void (*accumulateRow)(const Pass& pass, const float* constants, const Span& span);
  /// The same for columns, kColumnGroup at most: the span is their part of the first row.
  void (*accumulateColumns)(const Pass& pass, const float* constants, const Span& span, size_t rows, size_t columns);
  /// Turns the mean of the rows' state into constants.
  void (*resolveMean)(float* constants, double mean);
};

/// What the numbers of a vector are stored as.
enum Element : unsigned char { kFloat, kDouble, kNoElement };

/// Operations on vectors of floats or doubles, computed in double precision; by the Element of each vector.
/// kernels/linalg.h says what they do.
struct Float64Kernels {
  double (*dot[2][2])(const void* x, const void* y, size_t length);
  double (*axpby[2][2][2][3])(double a, const void* x, double b, const void* y, void* out, const void* z,
                                size_t length);
  void (*multiply[2][2])(double factor, const void* x, void* out, size_t length);
  double (*maxAbs[2])(const void* x, size_t length);
  double (*maxAbsDifference[2][2])(const void* x, const void* y, size_t length);
  void (*addColumns)(const double* const* columns, const double* weights, size_t count, size_t begin, double* x,
                     size_t length);
};

/// All that was compiled for one instruction set.
struct KernelSet {
  const char* isa;
  const Kernel* kernels;
  size_t count;
  /// The sum of squares in double precision, in an order that is the same for every instruction set.
  double (*sumSquares)(const float* x, size_t length);
  /// target = target + rate * (source - target)
  void (*lerp)(float* target, const float* source, float rate, size_t length);
  /// target = target + source
  void (*add)(float* target, const float* source, size_t length);
  /// x = factor * x
  void (*scale)(float* x, float factor, size_t length);
  Float64Kernels float64;
};

/// State and constants are spelled once; the loader compares the spelling with the TypeScript declaration.
#define STATE(...) static constexpr char kState[] = #__VA_ARGS__;
/// For kernels whose state is not one number an element throughout.
#define LAYOUT(...) static constexpr Layout kLayout[] = {__VA_ARGS__};
#define CONSTANTS(...) \
  float __VA_ARGS__;   \
  static constexpr char kConstants[] = #__VA_ARGS__;
