#pragma once
#include <stdint.h>

#include <vector>

#include "../kernel.h"
#include "auto_tune.h"
#include "matrix_step.h"
#include "partition.h"
#include "tensor.h"

/// Inputs and outputs of a step, in memory shared with JavaScript: one double each. The order is the one of `Control`
/// in lib/engine/engine.ts.
struct Control {
  double gradScale;       ///< in: multiplies every gradient
  double maxNorm;         ///< in: clipNorm; infinite for no clipping; needs measureNorm
  double measureNorm;     ///< in: whether to measure the norm
  double skipNonFinite;   ///< in: a Skip; needs measureNorm
  double zeroGrads;       ///< in: whether to set the gradients to 0
  double flushDenormals;  ///< in: whether to treat denormal numbers as 0
  double gradNorm;        ///< out: L2 norm of gradScale * all gradients, if measured
  double applied;         ///< out: 0 if the step was skipped, else 1
  double fault;           ///< out: a Fault; unless it is kNoFault, nothing has been written
  double faultTensor;     ///< out: index of the tensor
  double faultDetail;     ///< out: position of the sparse row in the gradient; or bytes
};

/// When a step is skipped. The numbers are those of `Skip` in lib/engine/engine.ts.
enum Skip {
  kSkipNever = 0,
  kSkipNonFinite = 1,  ///< if the scaled gradients have NaN or infinity
  kSkipAlways = 2,     ///< the loss is not finite
};

/// Why a step was refused. The numbers are those of `Fault` in lib/engine/engine.ts.
enum Fault {
  kNoFault = 0,
  kBadRow = 1,      ///< a sparse row out of range
  kMemoryGone = 2,  ///< an array was detached or resized
  kNoMemory = 3,    ///< a sparse gradient needs more temporary memory than there is
};
constexpr size_t kControlDoubles = sizeof(Control) / sizeof(double);

/// The memory that a plan shares with JavaScript.
struct StepConstants {
  Control* control;
  const float* rows;          ///< constants rows of `stride` floats: a Pass, then the constants of the kernel
  size_t stride;              ///< at least kPassFloats
  const int32_t* rowOf;       ///< the constants row of each tensor, or negative: the tensor takes no part in the step
  size_t numberCount = 0;     ///< of the numbers of a scope
  double* numbers = nullptr;  ///< those of each scope; a scope is named by the index of a tensor
  const int32_t* scopeOf = nullptr;  ///< the scope of each tensor; only if there are numbers

  const float* row(int32_t i) const { return rows + static_cast<size_t>(i) * stride; }
};

/// A fixed set of tensors, registered once; a step is one call. Holds pointers and owns none of the tensors' memory.
class Plan {
 public:
  Plan(const KernelSet& set, size_t count, const StepConstants& constants)
      : set_(set), constants_(constants), tensors_(count) {}

  size_t size() const { return tensors_.size(); }
  size_t length(size_t i) const { return tensors_[i].span.length; }
  const KernelSet& set() const { return set_; }

  /// Number of constants in a row, besides the Pass.
  size_t constantCount() const { return constants_.stride - kPassFloats; }
  /// Number of numbers of a scope.
  size_t numberCount() const { return constants_.numberCount; }
  /// Whether a sparse gradient with rows of this length fits the tensor.
  bool takesRows(size_t i, size_t rowLength) const;
  /// `columns` is the length of a matrix row of the param, for kernels with state of rows or columns; `side` is that of
  /// MatrixShape.
  void setTensor(size_t i, const Kernel* kernel, const Span& span, size_t columns, size_t side = 0);
  /// After `setTensor`, for an element-wise kernel: the state is in bfloat16.
  void setHalves(size_t i, size_t firstElement);
  void setGrad(size_t i, float* grad);
  void setSparseGrad(size_t i, const SparseGrad& grad);
  /// Reads `rowOf`, each number once. JavaScript may change them while the step runs on another thread.
  void begin();
  /// Whether tensor i takes part in the step.
  bool isActive(size_t i) const { return tensors_[i].row >= 0; }
  /// Whether tensor i has all that the step needs, and its row number is in range.
  bool isReady(size_t i) const {
    const Tensor& tensor = tensors_[i];
    if (tensor.kernel == nullptr) return false;
    if (tensor.row < 0) return true;
    if (static_cast<size_t>(tensor.row) >= tensors_.size()) return false;
    if (tensor.hasNumbers() && tensor.scope >= tensors_.size()) return false;
    return tensor.span.length == 0 || tensor.sparseRows != nullptr || tensor.span.grad != nullptr;
  }
  /// Whether the next step takes less time than another thread takes to wake. Unknown, and so false, before the first
  /// step.
  bool isSmall() const;
  /// Measures the gradients, decides whether and how to apply them, and applies them. Call `begin` before, and run it
  /// only if all tensors are ready.
  void run();
  void step() {
    begin();
    run();
  }

  /// `run` in two halves, for a plan whose tensors share numbers with those of other plans, which share no memory. The
  /// first measures: it writes kMaxSums sums for each tensor. The second takes the sums of all plans, and applies the
  /// gradients. Neither looks at the norm of the gradients.
  void measureSums(double* sums);
  void runWithSums(const double* sums);

 private:
  void survey();
  bool readGrads();
  bool gatherSparseRows();
  void share();
  void partition();
  double measure();
  double clip(double sumSquares);
  bool staysFinite(double sumSquares, float gradScale);
  float maxAbsGrad();
  void apply(float gradScale, const double* sums = nullptr);
  void updatePlain(float gradScale);
  void prepare(float gradScale);
  void resolveMeans();
  void resolveNorms();
  void measureNumbers();
  void resolveNumbers();
  void sumOverTensors();
  void zeroGrads();
  template <class Work>
  void forEachChunk(Work work);
  template <class Work>
  void forEachActive(Work work);

  const KernelSet& set_;
  const StepConstants constants_;
  std::vector<Tensor> tensors_;

  bool isSurveyed_ = false;
  bool hasNorms_ = false;     ///< whether any kernel needs norms of its tensor
  bool hasNumbers_ = false;   ///< whether any kernel needs numbers
  bool hasMatrices_ = false;  ///< whether any kernel works on a whole matrix
  bool hasMeans_ = false;     ///< whether any kernel needs means of matrix rows and columns
  bool hasMaxima_ = false;    ///< whether any kernel needs maxima of matrix columns
  bool hasSparse_ = false;    ///< whether any gradient is sparse
  bool isPlain_ = false;      ///< whether every tensor is plain
  bool mayPrefetch_ = false;  ///< whether a step may be faster with prefetches
  size_t denseTraffic_ = 0;   ///< floats that a step reads of tensors with dense gradients
  size_t traffic_ = 0;        ///< floats that the current step reads

  /// Sparse gradients need a new partition in each step.
  bool isPartitioned_ = false;
  Partition partition_;
  MatrixStep matrixStep_;
  Manner manner_ = {1, false};
  AutoTune* tuner_ = nullptr;  ///< what has chosen the manner of this step, or null
  double measured_ = 0;        ///< seconds of the first half of a step
  /// Of steps on at most one thread, and on more. A change from one to the other and back must not forget anything.
  AutoTune tuners_[2];
};
