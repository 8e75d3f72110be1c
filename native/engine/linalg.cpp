#include "linalg.h"

#include <string.h>

#include <atomic>
#include <memory>
#include <new>
#include <vector>

#include "blocks.h"

namespace linalg {
namespace {
// Rows that addCombination processes at a time: the part of x that is added to stays in the cache.
constexpr size_t kCombinationRows = 2048;
// Rows of all columns that gemmInPlace replaces at a time.
constexpr size_t kGemmRows = 256;
/// Memory for `count` partial results, valid until the next call on this thread.
double* partials(size_t count) {
  static thread_local std::vector<double> numbers;
  if (numbers.size() < count) numbers.resize(count);
  return numbers.data();
}

size_t chunkCount(size_t length) { return (length + kChunk - 1) / kChunk; }

/// Returns the sum of work(begin, chunkLength) over all chunks, added in their order.
template <class Work>
double sumOfChunks(size_t length, size_t bytes, Work work) {
  double* const sums = partials(chunkCount(length));
  forEachBlock(length, kChunk, bytes,
               [=](size_t i, size_t begin, size_t chunkLength) { sums[i] = work(begin, chunkLength); });
  double total = 0;
  for (size_t i = 0; i < chunkCount(length); ++i) total = total + sums[i];
  return total;
}

/// Returns the largest work(begin, chunkLength) of all chunks, or NaN if one of them is NaN.
template <class Work>
double maxOfChunks(const KernelSet& set, size_t length, size_t bytes, Work work) {
  double* const found = partials(chunkCount(length));
  forEachBlock(length, kChunk, bytes,
               [=](size_t i, size_t begin, size_t chunkLength) { found[i] = work(begin, chunkLength); });
  return set.float64.maxAbs[kDouble](found, chunkCount(length));
}

size_t bytesOf(Vector x) { return x.element == kNoElement ? 0 : x.element == kFloat ? sizeof(float) : sizeof(double); }

/// The address of element i, or null for an absent vector.
void* at(Vector x, size_t i) { return x.data == nullptr ? nullptr : static_cast<char*>(x.data) + i * bytesOf(x); }
}  // namespace

double dot(const KernelSet& set, Vector x, Vector y, size_t length) {
  const auto kernel = set.float64.dot[x.element][y.element];
  return sumOfChunks(length, bytesOf(x) + bytesOf(y),
                     [=](size_t begin, size_t chunkLength) { return kernel(at(x, begin), at(y, begin), chunkLength); });
}

double axpby(const KernelSet& set, const Axpby& operands, size_t length) {
  const Vector x = operands.x, y = operands.y, out = operands.out, z = operands.z;
  const double a = operands.a, b = operands.b;
  const auto kernel = set.float64.axpby[x.element][y.element][out.element][z.element];
  const size_t bytes = bytesOf(x) + bytesOf(y) + bytesOf(out) + bytesOf(z);
  return sumOfChunks(length, bytes, [=](size_t begin, size_t chunkLength) {
    return kernel({a, at(x, begin), b, at(y, begin), at(out, begin), at(z, begin)}, chunkLength);
  });
}

void multiply(const KernelSet& set, double factor, Vector x, Vector out, size_t length) {
  const auto kernel = set.float64.multiply[x.element][out.element];
  forEachBlock(length, kChunk, bytesOf(x) + bytesOf(out), [=](size_t, size_t begin, size_t chunkLength) {
    kernel(factor, at(x, begin), at(out, begin), chunkLength);
  });
}

double maxAbs(const KernelSet& set, Vector x, size_t length) {
  const auto kernel = set.float64.maxAbs[x.element];
  return maxOfChunks(set, length, bytesOf(x),
                     [=](size_t begin, size_t chunkLength) { return kernel(at(x, begin), chunkLength); });
}

double maxAbsDifference(const KernelSet& set, Vector x, Vector y, size_t length) {
  const auto kernel = set.float64.maxAbsDifference[x.element][y.element];
  return maxOfChunks(set, length, bytesOf(x) + bytesOf(y),
                     [=](size_t begin, size_t chunkLength) { return kernel(at(x, begin), at(y, begin), chunkLength); });
}

void project(const KernelSet& set, Columns p, const double* x, double* out) {
  double* const sums = partials(chunkCount(p.rows) * p.count);
  const auto kernel = set.float64.dot[kDouble][kDouble];
  forEachBlock(p.rows, kChunk, (p.count + 1) * sizeof(double), [=](size_t i, size_t begin, size_t chunkLength) {
    for (size_t k = 0; k < p.count; ++k) sums[i * p.count + k] = kernel(p.columns[k] + begin, x + begin, chunkLength);
  });
  for (size_t k = 0; k < p.count; ++k) {
    out[k] = 0;
    for (size_t i = 0; i < chunkCount(p.rows); ++i) out[k] = out[k] + sums[i * p.count + k];
  }
}

namespace {
/// The columns of a matrix, padded to groups of four: the last column is repeated, with weights of 0.
class PaddedColumns {
 public:
  explicit PaddedColumns(Columns p) : columns_(p.columns, p.columns + p.count) {
    while (columns_.size() % 4 != 0) columns_.push_back(columns_.back());
  }
  const double* const* data() const { return columns_.data(); }
  std::vector<double> pad(const double* weights, size_t count) const {
    std::vector<double> padded(weights, weights + count);
    padded.resize(columns_.size());
    return padded;
  }

 private:
  std::vector<const double*> columns_;
};
}  // namespace

void addCombination(const KernelSet& set, Columns p, const double* weights, double* x) {
  if (p.count == 0) return;
  const PaddedColumns columns(p);
  const std::vector<double> padded = columns.pad(weights, p.count);
  const size_t bytes = (p.count + 2) * sizeof(double);
  forEachBlock(p.rows, kCombinationRows, bytes, [&](size_t, size_t begin, size_t length) {
    set.float64.addColumns(columns.data(), padded.data(), padded.size(), {begin, length}, x + begin);
  });
}

void gemmInPlace(const KernelSet& set, Columns p, const double* const* q, size_t qRows) {
  if (p.count == 0) return;
  const PaddedColumns columns(p);
  std::vector<std::vector<double>> weights;
  for (size_t k = 0; k < qRows; ++k) weights.push_back(columns.pad(q[k], p.count));
  // An exception must not leave a thread of the pool. It is thrown at the end, on the calling thread.
  std::atomic<bool> isOutOfMemory{false};
  // Arithmetic is the limit here, not memory, so the cost per row is that of all products.
  const size_t bytes = p.count * qRows * sizeof(double);
  forEachBlock(p.rows, kGemmRows, bytes, [&](size_t, size_t begin, size_t length) {
    const std::unique_ptr<double[]> product(new (std::nothrow) double[qRows * length]());  // zeros
    if (product == nullptr) {
      isOutOfMemory = true;
      return;
    }
    for (size_t k = 0; k < qRows; ++k) {
      const std::vector<double>& w = weights[k];
      set.float64.addColumns(columns.data(), w.data(), w.size(), {begin, length}, &product[k * length]);
    }
    for (size_t k = 0; k < p.count; ++k) {
      if (k < qRows) {
        memcpy(p.columns[k] + begin, &product[k * length], length * sizeof(double));
      } else {
        memset(p.columns[k] + begin, 0, length * sizeof(double));
      }
    }
  });
  if (isOutOfMemory) throw std::bad_alloc();
}

void gram(const KernelSet& set, Columns p, double* products) {
  if (p.count == 0) return;
  const auto kernel = set.float64.dot[kDouble][kDouble];
  memset(products, 0, p.count * p.count * sizeof(double));
  // So many rows of some tens of columns stay in the cache while every column meets every other.
  for (size_t begin = 0; begin < p.rows; begin += kPiece) {
    const size_t length = p.rows - begin < kPiece ? p.rows - begin : kPiece;
    for (size_t k = 0; k < p.count; ++k) {
      for (size_t j = 0; j <= k; ++j) {
        double& product = products[k * p.count + j];
        product = product + kernel(p.columns[k] + begin, p.columns[j] + begin, length);
      }
    }
  }
  for (size_t k = 0; k < p.count; ++k) {
    for (size_t j = 0; j < k; ++j) products[j * p.count + k] = products[k * p.count + j];
  }
}

}  // namespace linalg
