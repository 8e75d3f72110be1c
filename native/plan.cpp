#include "plan.h"

#include <math.h>
#include <string.h>

namespace {
// A part of the result's definition: the JavaScript reference has the same number.
constexpr size_t kChunk = 16384;
}  // namespace

double sumSquares(const KernelSet& set, const float* x, size_t length) {
  double sum = 0;
  for (size_t begin = 0; begin < length; begin += kChunk) {
    sum = sum + set.sumSquares(x + begin, length - begin < kChunk ? length - begin : kChunk);
  }
  return sum;
}

double Plan::sumSquaresOfGrads() const {
  double sum = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (rowOf_[i] >= 0) sum = sum + sumSquares(set_, tensors_[i].span.grad, tensors_[i].span.length);
  }
  return sum;
}

void Plan::zeroGrads() const {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Span& span = tensors_[i].span;
    if (rowOf_[i] >= 0 && span.length > 0) memset(span.grad, 0, span.length * sizeof(float));
  }
}

void Plan::step() {
  Control& control = *control_;
  double scale = control.gradScale;
  control.applied = 1;
  if (control.measureNorm != 0) {
    const double sum = sumSquaresOfGrads();
    control.gradNorm = sqrt(sum) * fabs(scale);
    // Squares of floats can't overflow a double: the sum is finite if and only if every gradient is.
    if (control.skipNonFinite != 0 && !isfinite(sum)) {
      control.applied = 0;
      if (control.zeroGrads != 0) zeroGrads();
      return;
    }
    if (control.maxNorm != INFINITY) {
      const double coefficient = control.maxNorm / (control.gradNorm + 1e-6);
      scale = scale * (coefficient > 1 ? 1 : coefficient);  // a NaN passes, as in PyTorch
    }
  }
  const float gradScale = static_cast<float>(scale);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (rowOf_[i] < 0) continue;
    const float* row = rows_ + static_cast<size_t>(rowOf_[i]) * stride_;
    Pass pass;
    memcpy(&pass, row, sizeof pass);
    pass.gradScale = gradScale * pass.gradScale;
    Span span = tensors_[i].span;
    span.zeroGrad = control.zeroGrads != 0;
    tensors_[i].kernel->run(pass, row + kPassFloats, span);
  }
}
