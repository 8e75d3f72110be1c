#include "matrix_step.h"

#include <math.h>

#include "denormals.h"
#include "parallel.h"

namespace {
// A product of fewer multiplications does not gain from a second thread.
constexpr size_t kMinSharedProduct = size_t{1} << 21;

size_t rowsOf(const Tensor& tensor) { return tensor.columns == 0 ? 0 : tensor.span.length / tensor.columns; }

/// Enough for every product of matrices whose dimensions are those of the tensor.
size_t packedFloats(const KernelSet& set, const Tensor& tensor) {
  const size_t rows = rowsOf(tensor), columns = tensor.columns, most = rows > columns ? rows : columns;
  return matmul::packedFloats(set, most, most, most);
}

/// Calls work(begin, length) for parts of `length` elements, on all threads.
template <class Work>
void forEachPart(const matmul::Resources& resources, size_t length, Work work) {
  parallel::forEach((length + kChunk - 1) / kChunk, resources.threads, [&](size_t i) {
    const FlushDenormals flush(resources.flushDenormals);
    const size_t begin = i * kChunk, rest = length - begin;
    work(begin, rest < kChunk ? rest : kChunk);
  });
}

const matmul::Resources& resourcesOf(void* engine) { return *static_cast<const matmul::Resources*>(engine); }

void multiply(void* engine, const Product& product) { matmul::multiply(resourcesOf(engine), product); }

void combine(void* engine, float a, const float* x, float b, float* y, size_t length) {
  const matmul::Resources& resources = resourcesOf(engine);
  forEachPart(resources, length, [&](size_t begin, size_t partLength) {
    resources.set.matmul.combine(a, x + begin, b, y + begin, partLength);
  });
}

void divide(void* engine, float* x, float divisor, size_t length) {
  const matmul::Resources& resources = resourcesOf(engine);
  forEachPart(resources, length,
              [&](size_t begin, size_t partLength) { resources.set.matmul.divide(x + begin, divisor, partLength); });
}
}  // namespace

void MatrixStep::reserve(const KernelSet& set, const Tensor& tensor) {
  if (tensor.span.length == 0) return;
  const size_t floats = packedFloats(set, tensor) + tensor.kernel->matrixFloats(rowsOf(tensor), tensor.columns);
  if (memory_.size() < floats) memory_.resize(floats);
}

void MatrixStep::run(const KernelSet& set, Tensor& tensor, bool flushDenormals) {
  const size_t length = tensor.span.length, rows = rowsOf(tensor), columns = tensor.columns;
  if (length == 0) return;
  const bool isShared = parallel::always() || length * (rows < columns ? rows : columns) >= kMinSharedProduct;
  matmul::Resources resources = {set, memory_.data(), isShared ? parallel::threads() : 1, flushDenormals};
  float* matrix = memory_.data() + packedFloats(set, tensor);
  const Kernel& kernel = *tensor.kernel;
  forEachPart(resources, length, [&](size_t begin, size_t partLength) {
    kernel.fill(tensor.pass, tensor.constants, tensor.part(begin, partLength), matrix + begin);
  });
  const double norm = ::sqrt(sumSquares(set, matrix, length));
  matrix = kernel.transform(tensor.resolved, {matrix, rows, columns, norm}, {&resources, &multiply, &combine, &divide});
  forEachPart(resources, length, [&](size_t begin, size_t partLength) {
    Span part = tensor.part(begin, partLength);
    part.state[0] = matrix + begin;
    kernel.run(tensor.pass, tensor.constants, part);
  });
}
