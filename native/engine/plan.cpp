#include "plan.h"

#include <float.h>
#include <math.h>

#include <exception>
#include <memory>
#include <utility>

#include "denormals.h"

namespace {
// A step that reads fewer floats does not gain from a second thread, even from one that is awake.
constexpr size_t kMinSharedTraffic = 128 * 1024;
// A step that reads fewer floats does not gain from prefetches: its memory is in a cache.
constexpr size_t kMinPrefetchedTraffic = 4 * 1024 * 1024;
}  // namespace

void Plan::setTensor(size_t i, const Kernel* kernel, const Span& span, size_t columns, size_t side) {
  // These may throw: nothing has changed yet.
  const bool hasMeans = kernel->accumulateRow != nullptr;
  std::unique_ptr<double[]> sums(hasMeans ? new double[columns] : nullptr);
  std::unique_ptr<float[]> roots(hasMeans ? new float[columns] : nullptr);
  const size_t matrixRows = columns == 0 ? 0 : span.length / columns;
  std::unique_ptr<ColumnMaxima> maxima(kernel->hasMaxima ? new ColumnMaxima(matrixRows, columns) : nullptr);
  Tensor& tensor = tensors_[i];
  tensor.kernel = kernel;
  tensor.span = span;
  tensor.columns = columns;
  tensor.isHalf = false;
  tensor.side = side;
  tensor.columnSums = std::move(sums);
  tensor.columnRoots = std::move(roots);
  tensor.maxima = std::move(maxima);
  tensor.floats = 2;
  for (size_t s = 0; s < kernel->stateCount; ++s) tensor.floats += kernel->layout[s] == kElement;
  tensor.sparseRows = nullptr;
  isSurveyed_ = isPartitioned_ = false;
}

void Plan::setHalves(size_t i, size_t firstElement) {
  Tensor& tensor = tensors_[i];
  tensor.isHalf = true;
  tensor.firstElement = firstElement;
  tensor.floats = 2 + (tensor.kernel->stateCount + 1) / 2;
}

void Plan::setGrad(size_t i, float* grad) {
  tensors_[i].span.grad = grad;
  if (tensors_[i].sparseRows == nullptr) return;
  tensors_[i].sparseRows = nullptr;
  isSurveyed_ = isPartitioned_ = false;
}

void Plan::setSparseGrad(size_t i, const SparseGrad& grad) {
  tensors_[i].span.grad = nullptr;
  if (tensors_[i].sparseRows == nullptr) {
    tensors_[i].sparseRows = std::make_unique<SparseRows>();
    isSurveyed_ = isPartitioned_ = false;
  }
  tensors_[i].sparseRows->set(grad);
}

bool Plan::takesRows(size_t i, size_t rowLength) const {
  const Tensor& tensor = tensors_[i];
  if (tensor.kernel == nullptr || tensor.kernel->runSparse == nullptr) return false;
  return !tensor.kernel->perRow || rowLength == tensor.columns;
}

void Plan::begin() {
  for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].row = constants_.rowOf[i];
  if (constants_.scopeOf != nullptr) {
    for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].scope = static_cast<size_t>(constants_.scopeOf[i]);
  }
}

bool Plan::isSmall() const {
  if (!isSurveyed_ || !isPlain_) return false;
  size_t traffic = denseTraffic_;
  for (size_t i = 0; hasSparse_ && i < tensors_.size(); ++i) {
    const Tensor& tensor = tensors_[i];
    if (tensor.sparseRows == nullptr || !isActive(i)) continue;
    traffic += tensor.sparseRows->given().count * tensor.sparseRows->rowLength() * tensor.floats;
  }
  return traffic < kMinSharedTraffic;
}

/// Finds out what the tensors have in common: it stays until one of them, or the kind of its gradient, changes.
void Plan::survey() {
  hasNorms_ = hasNumbers_ = hasMeans_ = hasMaxima_ = hasMatrices_ = hasSparse_ = false;
  isPlain_ = true;
  denseTraffic_ = 0;
  size_t prefetched = 0;
  for (const Tensor& tensor : tensors_) {
    hasNorms_ = hasNorms_ || tensor.hasNorms();
    hasNumbers_ = hasNumbers_ || tensor.hasNumbers();
    hasMeans_ = hasMeans_ || tensor.hasMeans();
    hasMaxima_ = hasMaxima_ || tensor.hasMaxima();
    if (tensor.isMatrix()) matrixStep_.reserve(set_, tensor);
    hasMatrices_ = hasMatrices_ || tensor.isMatrix();
    hasSparse_ = hasSparse_ || tensor.sparseRows != nullptr;
    isPlain_ = isPlain_ && tensor.isPlain();
    if (tensor.sparseRows == nullptr) denseTraffic_ += tensor.span.length * tensor.floats;
    if (tensor.mayPrefetch()) prefetched += tensor.span.length * tensor.floats;
  }
  mayPrefetch_ = set_.canPrefetch && prefetched >= kMinPrefetchedTraffic;
  isSurveyed_ = true;
}

/// Looks at the gradients. Returns false if one was refused.
bool Plan::readGrads() {
  constants_.control->fault = kNoFault;
  if (!isSurveyed_) survey();
  traffic_ = denseTraffic_;
  if (hasSparse_ && !gatherSparseRows()) return false;
  constants_.control->applied = 1;
  return true;
}

/// Cuts the tensors into chunks, and chooses how to walk over them.
void Plan::share() {
  if (!isPartitioned_) partition();
  const size_t maxThreads = parallel::threads();
  const bool isShared = maxThreads > 1 && traffic_ >= kMinSharedTraffic && partition_.taskCount() > 1;
  manner_ = {isShared ? maxThreads : 1, false};
  tuner_ = (isShared || mayPrefetch_) && !parallel::always() ? &tuners_[isShared] : nullptr;
  if (tuner_ != nullptr) manner_ = tuner_->choose(manner_.threads, 2 * traffic_ / kMinSharedTraffic, mayPrefetch_);
  if (!hasMaxima_) return;
  forEachActive([this](Tensor& tensor) {
    if (tensor.hasMaxima()) tensor.maxima->reserve(manner_.threads);
  });
}

void Plan::run() {
  if (!readGrads()) return;
  Control& control = *constants_.control;
  float gradScale = static_cast<float>(control.gradScale);
  const bool mayShare = traffic_ >= kMinSharedTraffic && parallel::threads() > 1;
  if (isPlain_ && !mayShare && control.measureNorm == 0) {
    updatePlain(gradScale);
    return;
  }
  share();
  const double start = tuner_ != nullptr ? seconds() : 0;
  if (control.measureNorm != 0) {
    const double sumSquares = measure();
    gradScale = static_cast<float>(clip(sumSquares));
    const bool isLost = control.skipNonFinite == kSkipAlways;
    if (isLost || (control.skipNonFinite != kSkipNever && !staysFinite(sumSquares, gradScale))) {
      control.applied = 0;
      if (control.zeroGrads != 0) zeroGrads();
      return;
    }
  }
  apply(gradScale);
  if (tuner_ != nullptr) tuner_->record((seconds() - start) / static_cast<double>(traffic_));
}

void Plan::measureSums(double* sums) {
  for (size_t i = 0; i < tensors_.size() * kMaxSums; ++i) sums[i] = 0;
  if (!readGrads()) return;
  share();
  const double start = tuner_ != nullptr ? seconds() : 0;
  prepare(static_cast<float>(constants_.control->gradScale));
  if (hasNumbers_) measureNumbers();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!isActive(i) || !tensors_[i].hasNumbers()) continue;
    for (size_t k = 0; k < kMaxSums; ++k) sums[i * kMaxSums + k] = tensors_[i].sums[k];
  }
  measured_ = tuner_ != nullptr ? seconds() - start : 0;
}

void Plan::runWithSums(const double* sums) {
  if (!readGrads()) return;
  share();
  const double start = tuner_ != nullptr ? seconds() : 0;
  apply(static_cast<float>(constants_.control->gradScale), sums);
  // The time between the halves belongs to the other plans.
  if (tuner_ != nullptr) tuner_->record((measured_ + seconds() - start) / static_cast<double>(traffic_));
}

/// Copies the row numbers of all sparse gradients. Returns false if one is out of range.
bool Plan::gatherSparseRows() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& tensor = tensors_[i];
    if (tensor.sparseRows == nullptr || !isActive(i)) continue;
    const size_t rowLength = tensor.sparseRows->rowLength();
    const size_t limit = rowLength == 0 ? 0 : tensor.span.length / rowLength;
    Control& control = *constants_.control;
    control.faultTensor = static_cast<double>(i);
    try {
      const size_t bad = tensor.sparseRows->gather(limit, set_, control.measureNorm != 0);
      if (bad == SparseRows::kAllValid) {
        traffic_ += tensor.sparseRows->size() * rowLength * tensor.floats;
        continue;
      }
      control.fault = kBadRow;
      control.faultDetail = static_cast<double>(bad);
    } catch (const std::exception&) {  // bad_alloc or length_error
      control.fault = kNoMemory;
      control.faultDetail = static_cast<double>(tensor.sparseRows->bytesFor(limit));
      tensor.sparseRows->clear();
    }
    return false;
  }
  return true;
}

void Plan::partition() {
  partition_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const SparseRows* const rows = tensors_[i].sparseRows.get();
    if (rows == nullptr) {
      partition_.add(i, tensors_[i].span.length, 1);
    } else {
      partition_.add(i, isActive(i) ? rows->size() : 0, rows->rowLength());
    }
  }
  partition_.finish();
  isPartitioned_ = !hasSparse_;
}

/// Phase 1: returns the sum of squares of all gradients. It adds the chunks of each tensor, then the tensors.
double Plan::measure() {
  forEachChunk([this](Tensor& tensor, Chunk& chunk) { chunk.sums[0] = tensor.sumSquaresOfGrad(set_, chunk); });
  const std::vector<Chunk>& chunks = partition_.chunks();
  double total = 0, ofTensor = 0;
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (!isActive(chunks[i].tensor)) continue;
    ofTensor = ofTensor + chunks[i].sums[0];
    if (i + 1 < chunks.size() && chunks[i + 1].tensor == chunks[i].tensor) continue;
    total = total + ofTensor;
    ofTensor = 0;
  }
  return total;
}

/// Phase 2: writes the norm. Returns gradScale, times the coefficient of clipNorm.
double Plan::clip(double sumSquares) {
  Control& control = *constants_.control;
  control.gradNorm = sqrt(sumSquares) * fabs(control.gradScale);
  if (control.maxNorm == INFINITY) return control.gradScale;
  const double coefficient = control.maxNorm / (control.gradNorm + 1e-6);
  return control.gradScale * (coefficient > 1 ? 1 : coefficient);  // a NaN passes, as in PyTorch
}

/// Whether gradScale * grad, which the kernels compute in float32, is finite for every gradient.
bool Plan::staysFinite(double sumSquares, float gradScale) {
  // Squares of floats do not overflow a double, so the sum is finite if and only if every gradient is.
  if (!isfinite(sumSquares)) return false;
  // No element exceeds the norm, so the largest one is rarely needed.
  if (sqrt(sumSquares) * fabs(static_cast<double>(gradScale)) <= static_cast<double>(FLT_MAX)) return true;
  return isfinite(gradScale * maxAbsGrad());
}

/// The largest |element| of all gradients, which are finite.
float Plan::maxAbsGrad() {
  forEachChunk([this](Tensor& tensor, Chunk& chunk) { chunk.sums[0] = tensor.maxAbsOfGrad(set_, chunk); });
  double most = 0;
  for (const Chunk& chunk : partition_.chunks()) {
    if (isActive(chunk.tensor) && chunk.sums[0] > most) most = chunk.sums[0];
  }
  return static_cast<float>(most);
}

/// Phase 3: updates all tensors. Kernels that need means or norms of a tensor measure them here, after clipping,
/// because they need those of the clipped gradients. `sums` are those of `measureSums`, if it has measured the numbers.
void Plan::apply(float gradScale, const double* sums) {
  prepare(gradScale);
  if (hasMeans_) resolveMeans();
  if (hasNorms_) resolveNorms();
  if (hasNumbers_) {
    if (sums == nullptr) measureNumbers();
    for (size_t i = 0; sums != nullptr && i < tensors_.size(); ++i) {
      for (size_t k = 0; k < kMaxSums; ++k) tensors_[i].sums[k] = sums[i * kMaxSums + k];
    }
    resolveNumbers();
  }
  const bool flushDenormals = constants_.control->flushDenormals != 0;
  forEachChunk([flushDenormals](Tensor& tensor, Chunk& chunk) {
    if (tensor.isMatrix()) return;
    const FlushDenormals flush(flushDenormals);
    tensor.update(chunk);
  });
  if (hasMaxima_) {
    const FlushDenormals flush(flushDenormals);
    forEachActive([](Tensor& tensor) {
      if (tensor.hasMaxima() && tensor.span.length > 0) tensor.maxima->adopt(tensor.span.state[1]);
    });
  }
  if (hasMatrices_) {
    forEachActive([&](Tensor& tensor) {
      if (tensor.isMatrix()) matrixStep_.run(set_, tensor, flushDenormals);
    });
  }
  // A row may be repeated, so its values are not set to 0 by the update.
  if (hasSparse_ && constants_.control->zeroGrads != 0) {
    forEachActive([](Tensor& tensor) {
      if (tensor.sparseRows != nullptr) tensor.zeroGrad();
    });
  }
}

/// The whole step of a plain plan on one thread. For small tensors, chunks and phases would cost more than the update.
void Plan::updatePlain(float gradScale) {
  const bool zeroGrads = constants_.control->zeroGrads != 0;
  const FlushDenormals flush(constants_.control->flushDenormals != 0);
  forEachActive([&](Tensor& tensor) {
    tensor.readRow(constants_.row(tensor.row), gradScale);
    if (tensor.sparseRows != nullptr) return tensor.updateRows(zeroGrads);
    tensor.span.zeroGrad = zeroGrads;
    tensor.span.prefetch = false;
    tensor.kernel->run(tensor.pass, tensor.constants, tensor.span);
  });
}

void Plan::prepare(float gradScale) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!isActive(i)) continue;
    const float* const constantsRow = constants_.row(tensors_[i].row);
    tensors_[i].prepare(constantsRow, constants_.stride, gradScale, constants_.control->zeroGrads != 0);
    tensors_[i].span.prefetch = manner_.prefetch && tensors_[i].mayPrefetch();
  }
}

/// Accumulates the means of matrix rows and columns, and computes the constants that depend on them.
void Plan::resolveMeans() {
  const bool flushDenormals = constants_.control->flushDenormals != 0;
  forEachChunk([=](Tensor& tensor, Chunk& chunk) {
    if (!tensor.hasMeans()) return;
    const FlushDenormals flush(flushDenormals);
    tensor.accumulateMeans(chunk, manner_.threads);
  });
  forEachActive([](Tensor& tensor) {
    if (!tensor.hasMeans() || tensor.span.length == 0) return;
    const size_t rows = tensor.span.length / tensor.columns;
    double sum = 0;
    for (size_t row = 0; row < rows; ++row) sum = sum + static_cast<double>(tensor.span.state[0][row]);
    tensor.kernel->resolveMean(tensor.resolved, sum / static_cast<double>(rows));
  });
}

/// Measures the norms of each tensor, and computes the constants that depend on them.
void Plan::resolveNorms() {
  const bool flushDenormals = constants_.control->flushDenormals != 0;
  forEachChunk([=](Tensor& tensor, Chunk& chunk) {
    if (!tensor.hasNorms()) return;
    const FlushDenormals flush(flushDenormals);
    tensor.measure(chunk);
  });
  sumOverTensors();
  forEachActive([](Tensor& tensor) {
    if (!tensor.hasNorms()) return;
    tensor.kernel->resolve(tensor.resolved, sqrt(tensor.sums[0]), sqrt(tensor.sums[1]), tensor.span.length);
  });
}

/// Adds the sums of the chunks of each tensor, in their order.
void Plan::sumOverTensors() {
  for (Tensor& tensor : tensors_) {
    for (double& sum : tensor.sums) sum = 0;
  }
  for (const Chunk& chunk : partition_.chunks()) {
    for (size_t k = 0; k < kMaxSums; ++k) tensors_[chunk.tensor].sums[k] += chunk.sums[k];
  }
}

/// Measures the sums of each tensor whose kernel needs numbers.
void Plan::measureNumbers() {
  const bool flushDenormals = constants_.control->flushDenormals != 0;
  forEachChunk([=](Tensor& tensor, Chunk& chunk) {
    if (!tensor.hasNumbers()) return;
    const FlushDenormals flush(flushDenormals);
    tensor.measure(chunk);
  });
  sumOverTensors();
}

/// Adds the sums over the tensors of each scope, in their order. Computes its numbers, and the constants that depend on
/// them.
void Plan::resolveNumbers() {
  for (Tensor& scope : tensors_) {
    scope.isDecided = false;
    for (double& sum : scope.scopeSums) sum = 0;
  }
  forEachActive([this](Tensor& tensor) {
    if (!tensor.hasNumbers()) return;
    for (size_t k = 0; k < kMaxSums; ++k) tensors_[tensor.scope].scopeSums[k] += tensor.sums[k];
  });
  forEachActive([this](Tensor& tensor) {
    if (!tensor.hasNumbers()) return;
    Tensor& scope = tensors_[tensor.scope];
    double* const numbers = constants_.numbers + tensor.scope * constants_.numberCount;
    if (!scope.isDecided) tensor.kernel->decide(numbers, scope.scopeSums);
    scope.isDecided = true;
    tensor.kernel->resolveNumbers(tensor.resolved, numbers);
  });
}

void Plan::zeroGrads() {
  forEachActive([](Tensor& tensor) { tensor.zeroGrad(); });
}

/// Calls work(tensor, chunk) for the chunks of all active tensors, on the threads of this step.
template <class Work>
void Plan::forEachChunk(Work work) {
  partition_.forEachChunk(manner_.threads, [&](Chunk& chunk) {
    if (isActive(chunk.tensor)) work(tensors_[chunk.tensor], chunk);
  });
}

template <class Work>
void Plan::forEachActive(Work work) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (isActive(i)) work(tensors_[i]);
  }
}
