#include "plan.h"

#include <math.h>
#include <string.h>

#include "parallel.h"

namespace {
// What a partial sum covers is a part of the result's definition: the JavaScript reference has the same number.
constexpr size_t kSegment = 16384;

size_t namesIn(const char* list) {
  size_t n = *list == '\0' ? 0 : 1;
  for (; *list != '\0'; ++list) n += *list == ',';
  return n;
}
}  // namespace

double sumSquares(const KernelSet& set, const float* x, size_t length) {
  double sum = 0;
  for (size_t begin = 0; begin < length; begin += kSegment) {
    sum = sum + set.sumSquares(x + begin, length - begin < kSegment ? length - begin : kSegment);
  }
  return sum;
}

void Plan::cut() {
  segments_.clear();
  chunks_.assign(1, 0);
  traffic_ = 0;
  size_t length = 0;
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Tensor& tensor = tensors_[t];
    traffic_ += tensor.span.length * (2 + namesIn(tensor.kernel->state));
    for (size_t begin = 0; begin < tensor.span.length; begin += kSegment) {
      const size_t rest = tensor.span.length - begin;
      segments_.push_back({t, begin, rest < kSegment ? rest : kSegment, 0});
      length += segments_.back().length;
      if (length < kSegment) continue;
      chunks_.push_back(segments_.size());
      length = 0;
    }
  }
  if (chunks_.back() < segments_.size()) chunks_.push_back(segments_.size());
  isCut_ = true;
}

template <void (Plan::*work)(Plan::Segment&)>
void Plan::each() {
  if (!parallel::pays(traffic_)) {
    for (Segment& segment : segments_) (this->*work)(segment);
    return;
  }
  parallel::run(
      chunks_.size() - 1,
      [](void* context, size_t chunk) {
        Plan& plan = *static_cast<Plan*>(context);
        for (size_t i = plan.chunks_[chunk]; i < plan.chunks_[chunk + 1]; ++i) (plan.*work)(plan.segments_[i]);
      },
      this);
}

void Plan::sum(Segment& segment) {
  if (isActive(segment.tensor)) {
    segment.sum = set_.sumSquares(tensors_[segment.tensor].span.grad + segment.begin, segment.length);
  }
}

double Plan::sumSquaresOfGrads() {
  each<&Plan::sum>();
  double total = 0, ofTensor = 0;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (!isActive(segment.tensor)) continue;
    ofTensor = ofTensor + segment.sum;
    if (i + 1 < segments_.size() && segments_[i + 1].tensor == segment.tensor) continue;
    total = total + ofTensor;
    ofTensor = 0;
  }
  return total;
}

void Plan::zeroGrads() const {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Span& span = tensors_[i].span;
    if (isActive(i) && span.length > 0) memset(span.grad, 0, span.length * sizeof(float));
  }
}

void Plan::update(Segment& segment) {
  if (!isActive(segment.tensor)) return;
  const Tensor& tensor = tensors_[segment.tensor];
  Span span = tensor.span;
  span.param += segment.begin;
  span.grad += segment.begin;
  if (span.ema != nullptr) span.ema += segment.begin;
  for (float*& state : span.state) {
    if (state != nullptr) state += segment.begin;
  }
  span.length = segment.length;
  tensor.kernel->run(tensor.pass, tensor.constants, span);
}

void Plan::step() {
  if (!isCut_) cut();
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
    if (!isActive(i)) continue;
    Tensor& tensor = tensors_[i];
    const float* row = rows_ + static_cast<size_t>(rowOf_[i]) * stride_;
    memcpy(&tensor.pass, row, sizeof tensor.pass);
    tensor.pass.gradScale = gradScale * tensor.pass.gradScale;
    tensor.constants = row + kPassFloats;
    tensor.span.zeroGrad = control.zeroGrads != 0;
  }
  each<&Plan::update>();
}
