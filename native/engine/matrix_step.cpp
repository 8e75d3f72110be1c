#include "matrix_step.h"

#include <math.h>

#include "denormals.h"
#include "parallel.h"

namespace {
// A product of fewer multiplications does not gain from a second thread.
constexpr size_t kMinSharedProduct = size_t{1} << 21;

size_t rowsOf(const Tensor& tensor) { return tensor.columns == 0 ? 0 : tensor.span.length / tensor.columns; }

MatrixShape shapeOf(const Tensor& tensor) { return {rowsOf(tensor), tensor.columns, tensor.side}; }

size_t packedFloats(const KernelSet& set, const MatrixMemory& memory) {
  return matmul::packedFloats(set, memory.product.rows, memory.product.columns, memory.product.side);
}

/// What MatrixOps hands back as `engine`.
struct Engine {
  const matmul::Resources& products;
  const eigen::Resources& decompositions;
};

/// Calls work(begin, length) for parts of `length` elements, on all threads.
template <class Work>
void forEachPart(const matmul::Resources& resources, size_t length, Work work) {
  parallel::forEach((length + kChunk - 1) / kChunk, resources.threads, [&](size_t i) {
    const FlushDenormals flush(resources.flushDenormals);
    const size_t begin = i * kChunk, rest = length - begin;
    work(begin, rest < kChunk ? rest : kChunk);
  });
}

const matmul::Resources& resourcesOf(void* engine) { return static_cast<const Engine*>(engine)->products; }
const eigen::Resources& decompositionsOf(void* engine) { return static_cast<const Engine*>(engine)->decompositions; }

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

double norm(void* engine, const float* x, size_t length) {
  return ::sqrt(sumSquares(resourcesOf(engine).set, x, length));
}

void eigenvectors(void* engine, const float* matrix, size_t side, float* vectors) {
  eigen::eigenvectors(decompositionsOf(engine), matrix, side, vectors, nullptr);
}

void inverseRoot(void* engine, const float* matrix, size_t side, const InverseRoot& root, float* out) {
  eigen::inverseRoot(decompositionsOf(engine), matrix, side, root, out);
}

void orthonormalize(void* engine, const float* matrix, size_t side, float* out) {
  eigen::orthonormalize(decompositionsOf(engine), matrix, side, out);
}
}  // namespace

void MatrixStep::reserve(const KernelSet& set, const Tensor& tensor) {
  if (tensor.span.length == 0) return;
  const MatrixMemory memory = tensor.kernel->matrixMemory(shapeOf(tensor));
  const size_t floats = packedFloats(set, memory) + memory.floats;
  if (memory_.size() < floats) memory_.resize(floats);
  const size_t doubles = eigen::memoryDoubles(memory.decomposed);
  if (doubles_.size() < doubles) doubles_.resize(doubles);
}

void MatrixStep::run(const KernelSet& set, Tensor& tensor, bool flushDenormals) {
  const size_t length = tensor.span.length, rows = rowsOf(tensor), columns = tensor.columns;
  if (length == 0) return;
  const FlushDenormals flush(flushDenormals);  // for what the kernel computes itself, on this thread
  const size_t decomposed = tensor.kernel->matrixMemory(shapeOf(tensor)).decomposed;
  const bool isShared = parallel::always() || length * (rows < columns ? rows : columns) >= kMinSharedProduct ||
                        decomposed * decomposed * decomposed >= kMinSharedProduct;
  const matmul::Resources resources = {set, memory_.data(), isShared ? parallel::threads() : 1, flushDenormals};
  const eigen::Resources decompositions = {set, doubles_.data(), resources.threads, flushDenormals};
  Engine engine = {resources, decompositions};
  const Kernel& kernel = *tensor.kernel;
  float* matrix = memory_.data() + packedFloats(set, kernel.matrixMemory(shapeOf(tensor)));
  forEachPart(resources, length, [&](size_t begin, size_t partLength) {
    kernel.fill(tensor.pass, tensor.constants, tensor.part(begin, partLength), matrix + begin);
  });
  const Matrix whole = {matrix,      rows,           columns, norm(&engine, matrix, length), tensor.span.state,
                        tensor.side, doubles_.data()};
  matrix =
      kernel.transform(tensor.resolved, whole,
                       {&engine, &multiply, &combine, &divide, &norm, &eigenvectors, &inverseRoot, &orthonormalize});
  forEachPart(resources, length, [&](size_t begin, size_t partLength) {
    Span part = tensor.part(begin, partLength);
    part.state[0] = matrix + begin;
    kernel.run(tensor.pass, tensor.constants, part);
  });
}
