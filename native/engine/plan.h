#pragma once
#include <stdint.h>

#include <memory>
#include <vector>

#include "auto_tune.h"
#include "../kernel.h"
#include "sparse_rows.h"

/// What a step reads and writes, in memory that JavaScript shares; one double each, in this order.
struct Control {
  double gradScale;       ///< in: multiplies every gradient
  double maxNorm;         ///< in: clipNorm; infinite: no clipping
  double measureNorm;     ///< in: whether the norm is wanted
  double skipNonFinite;   ///< in: whether a step with a NaN or an infinity in its gradients is skipped
  double zeroGrads;       ///< in: whether gradients are set to 0
  double flushDenormals;  ///< in: whether denormal numbers count as 0
  double gradNorm;        ///< out: the L2 norm of gradScale * all gradients, if wanted
  double applied;         ///< out: 0 if the step was skipped
  double badTensor;       ///< out: the tensor whose gradient names a row that it lacks, or -1; nothing has changed then
  double badRow;          ///< out: the position of that name
};
constexpr size_t kControlDoubles = sizeof(Control) / sizeof(double);

/// A fixed set of tensors, registered once; a step is one call. Holds pointers, owns no memory of tensors.
class Plan {
 public:
  /// `rows` are Pass and constants, `stride` floats each; `rowOf[i]` is tensor i's row, or negative: not in this step.
  Plan(const KernelSet& set, size_t count, Control* control, const float* rows, size_t stride, const int32_t* rowOf)
      : set_(set), control_(control), rows_(rows), stride_(stride), rowOf_(rowOf), tensors_(count) {}

  size_t size() const { return tensors_.size(); }
  size_t length(size_t i) const { return tensors_[i].span.length; }
  const KernelSet& set() const { return set_; }

  /// `columns`: how long a row of the param is; for kernels with state of rows or columns.
  void setTensor(size_t i, const Kernel* kernel, const Span& span, size_t columns);
  void setGrad(size_t i, float* grad);
  void setGrad(size_t i, const uint32_t* rows, size_t count, float* values, size_t rowLength);
  void step();

  /// Calls visit(pointer) for all memory that a step touches.
  template <class F>
  void visit(F visit) const {
    for (const Tensor& tensor : tensors_) {
      visit(tensor.span.param);
      visit(tensor.span.grad);
      visit(tensor.span.ema);
      for (const float* state : tensor.span.state) visit(state);
      if (tensor.sparseRows == nullptr) continue;
      visit(tensor.sparseRows->given());
      visit(tensor.sparseRows->values());
    }
  }

 private:
  struct Tensor {
    const Kernel* kernel;
    Span span;
    size_t columns;
    size_t floats;                       ///< that a step reads for each element
    std::unique_ptr<SparseRows> sparseRows;  ///< or null: span.grad is the gradient
    // Of the step at hand:
    Pass pass;
    const float* constants;
    double norms[2];
    float resolved[kMaxConstants];  ///< constants, for a kernel that adds to them what follows from means and norms
  };
  /// A stretch of one tensor, in elements, or in rows of its gradient: what a partial sum covers.
  struct Segment {
    size_t tensor, begin, length;
    double sums[2];
  };
  bool isActive(size_t tensor) const { return rowOf_[tensor] >= 0; }
  bool gatherRows();
  void prepare(float gradScale);
  void cut();
  double sumSquaresOfGrads();
  void accumulateMeans();
  void resolveNorms();
  void zeroGrads();
  /// Does `work` on each segment, on as many threads as the step takes.
  template <void (Plan::*work)(Segment&)>
  void each();
  void sum(Segment& segment);
  void accumulate(Segment& segment);
  void measure(Segment& segment);
  void update(Segment& segment);
  void updateRows(Tensor& tensor, const Segment& segment);
  template <class F>
  void eachPart(const Tensor& tensor, const Segment& segment, F work) const;
  Span part(const Tensor& tensor, size_t begin, size_t length, float* grad) const;
  void run(const Tensor& tensor, size_t begin, size_t length, float* grad) const;

  const KernelSet& set_;
  Control* control_;
  const float* rows_;
  size_t stride_;
  const int32_t* rowOf_;
  std::vector<Tensor> tensors_;
  bool isCut_ = false;
  bool hasNorms_ = false;  ///< whether any kernel needs norms of its tensor
  bool hasMeans_ = false;  ///< whether any kernel needs means of rows and columns first
  bool hasRows_ = false;   ///< whether any gradient is of rows: then the segments are those of this step alone
  std::vector<Segment> segments_;
  /// Where each chunk of segments begins, and the end: small tensors share a chunk.
  std::vector<size_t> chunks_;
  size_t traffic_ = 0;  ///< floats that a step reads
  size_t threads_ = 1;
  AutoTune autoTune_;
};

/// The sum of squares of a whole tensor: chunks of fixed size, added in their order.
double sumSquares(const KernelSet& set, const float* x, size_t length);
