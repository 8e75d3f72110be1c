#pragma once
#include <stdint.h>

#include <vector>

#include "kernel.h"

/// What a step reads and writes, in memory that JavaScript shares; one double each, in this order.
struct Control {
  double gradScale;      ///< in: multiplies every gradient
  double maxNorm;        ///< in: clipNorm; infinite: no clipping
  double measureNorm;    ///< in: whether the norm is wanted
  double skipNonFinite;  ///< in: whether a step with a NaN or an infinity in its gradients is skipped
  double zeroGrads;      ///< in: whether gradients are set to 0
  double gradNorm;       ///< out: the L2 norm of gradScale * all gradients, if wanted
  double applied;        ///< out: 0 if the step was skipped
};
constexpr size_t kControlDoubles = sizeof(Control) / sizeof(double);

/// A fixed set of tensors, registered once; a step is one call. Holds pointers, owns no memory.
class Plan {
 public:
  /// `rows` are Pass and constants, `stride` floats each; `rowOf[i]` is tensor i's row, or negative: not in this step.
  Plan(const KernelSet& set, size_t count, Control* control, const float* rows, size_t stride, const int32_t* rowOf)
      : set_(set), control_(control), rows_(rows), stride_(stride), rowOf_(rowOf), tensors_(count) {}

  size_t size() const { return tensors_.size(); }
  size_t length(size_t i) const { return tensors_[i].span.length; }
  const KernelSet& set() const { return set_; }

  void setTensor(size_t i, const Kernel* kernel, const Span& span) {
    tensors_[i] = {kernel, span, {}, nullptr};
    isCut_ = false;
  }
  void setGrad(size_t i, float* grad) { tensors_[i].span.grad = grad; }
  void step();

 private:
  struct Tensor {
    const Kernel* kernel;
    Span span;
    // Of the step at hand:
    Pass pass;
    const float* constants;
  };
  /// A stretch of one tensor: what a partial sum covers.
  struct Segment {
    size_t tensor, begin, length;
    double sum;
  };
  bool isActive(size_t tensor) const { return rowOf_[tensor] >= 0; }
  void cut();
  double sumSquaresOfGrads();
  void zeroGrads() const;
  /// Does `work` on each segment, on several threads where that pays.
  template <void (Plan::*work)(Segment&)>
  void each();
  void sum(Segment& segment);
  void update(Segment& segment);

  const KernelSet& set_;
  Control* control_;
  const float* rows_;
  size_t stride_;
  const int32_t* rowOf_;
  std::vector<Tensor> tensors_;
  bool isCut_ = false;
  std::vector<Segment> segments_;
  /// Where each chunk of segments begins, and the end: small tensors share a chunk.
  std::vector<size_t> chunks_;
  size_t traffic_ = 0;  ///< floats that a step reads
};

/// The sum of squares of a whole tensor: chunks of fixed size, added in their order.
double sumSquares(const KernelSet& set, const float* x, size_t length);
