#include "linalg.h"

#include <string.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <vector>

#include "auto_tune.h"
#include "parallel.h"

namespace linalg {
namespace {
// What a partial sum covers is a part of the result's definition: the JavaScript reference has the same numbers.
constexpr size_t kChunk = 16384;
/// The same where every column meets every other: so many rows of some tens of columns stay in the cache.
constexpr size_t kPiece = 1024;
// Rows that are combined at a time: what is added to stays in the cache.
constexpr size_t kRows = 2048;
// Rows of all columns that are replaced at a time.
constexpr size_t kBlock = 256;
// Calls that read or write fewer bytes are not worth a second thread, even one that is awake.
constexpr size_t kShared = 512 * 1024;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Calls work(i, begin, length) for each stretch of `step` of `length` elements, `bytes` of memory each. What pays is
/// found out for each use of it apart.
template <class Work>
void each(size_t length, size_t step, size_t bytes, Work work) {
  struct Job {
    Work work;
    size_t length, step;
    void run(size_t i) {
      const size_t begin = i * step, rest = length - begin;
      work(i, begin, rest < step ? rest : step);
    }
  } job{work, length, step};
  const size_t count = (length + step - 1) / step, most = parallel::threads();
  if (most <= 1 || count < 3 || length * bytes < kShared) {
    for (size_t i = 0; i < count; ++i) job.run(i);
    return;
  }
  static thread_local AutoTune autoTune;
  const size_t threads = parallel::always() ? most : autoTune.choose(most);
  const double begin = seconds();
  parallel::run(
      count, threads, [](void* context, size_t i) { static_cast<Job*>(context)->run(i); }, &job);
  autoTune.took((seconds() - begin) / static_cast<double>(length * bytes));
}

/// The partial results of `count` stretches, until the next call.
double* partials(size_t count) {
  static thread_local std::vector<double> numbers;
  if (numbers.size() < count) numbers.resize(count);
  return numbers.data();
}

size_t chunks(size_t length) { return (length + kChunk - 1) / kChunk; }

/// The sum of what work(begin, length) finds in each chunk.
template <class Work>
double sum(size_t length, size_t bytes, Work work) {
  double* const sums = partials(chunks(length));
  each(length, kChunk, bytes, [=](size_t i, size_t begin, size_t rest) { sums[i] = work(begin, rest); });
  double total = 0;
  for (size_t i = 0; i < chunks(length); ++i) total = total + sums[i];
  return total;
}

/// The largest of what work(begin, length) finds in each chunk.
template <class Work>
double most(const KernelSet& set, size_t length, size_t bytes, Work work) {
  double* const found = partials(chunks(length));
  each(length, kChunk, bytes, [=](size_t i, size_t begin, size_t rest) { found[i] = work(begin, rest); });
  return set.float64.maxAbs[kDouble](found, chunks(length));
}

size_t bytesOf(Vector x) { return x.element == kNoElement ? 0 : x.element == kFloat ? sizeof(float) : sizeof(double); }

/// The memory of a part.
void* at(Vector x, size_t i) { return x.data == nullptr ? nullptr : static_cast<char*>(x.data) + i * bytesOf(x); }
}  // namespace

double dot(const KernelSet& set, Vector x, Vector y, size_t length) {
  const auto kernel = set.float64.dot[x.element][y.element];
  return sum(length, bytesOf(x) + bytesOf(y),
             [=](size_t begin, size_t rest) { return kernel(at(x, begin), at(y, begin), rest); });
}

double axpby(const KernelSet& set, double a, Vector x, double b, Vector y, Vector out, Vector z, size_t length) {
  const auto kernel = set.float64.axpby[x.element][y.element][out.element][z.element];
  return sum(length, bytesOf(x) + bytesOf(y) + bytesOf(out) + bytesOf(z), [=](size_t begin, size_t rest) {
    return kernel(a, at(x, begin), b, at(y, begin), at(out, begin), at(z, begin), rest);
  });
}

void multiply(const KernelSet& set, double factor, Vector x, Vector out, size_t length) {
  const auto kernel = set.float64.multiply[x.element][out.element];
  each(length, kChunk, bytesOf(x) + bytesOf(out),
       [=](size_t, size_t begin, size_t rest) { kernel(factor, at(x, begin), at(out, begin), rest); });
}

double maxAbs(const KernelSet& set, Vector x, size_t length) {
  const auto kernel = set.float64.maxAbs[x.element];
  return most(set, length, bytesOf(x), [=](size_t begin, size_t rest) { return kernel(at(x, begin), rest); });
}

double maxAbsDifference(const KernelSet& set, Vector x, Vector y, size_t length) {
  const auto kernel = set.float64.maxAbsDifference[x.element][y.element];
  return most(set, length, bytesOf(x) + bytesOf(y),
              [=](size_t begin, size_t rest) { return kernel(at(x, begin), at(y, begin), rest); });
}

void project(const KernelSet& set, Columns p, const double* x, double* out) {
  double* const sums = partials(chunks(p.rows) * p.count);
  const auto kernel = set.float64.dot[kDouble][kDouble];
  each(p.rows, kChunk, (p.count + 1) * sizeof(double), [=](size_t i, size_t begin, size_t rest) {
    for (size_t k = 0; k < p.count; ++k) sums[i * p.count + k] = kernel(p.columns[k] + begin, x + begin, rest);
  });
  for (size_t k = 0; k < p.count; ++k) {
    out[k] = 0;
    for (size_t i = 0; i < chunks(p.rows); ++i) out[k] = out[k] + sums[i * p.count + k];
  }
}

namespace {
/// The columns in groups of four: the last one again, with no weight, where there are fewer.
struct Fours {
  std::vector<const double*> columns;
  explicit Fours(Columns p) : columns(p.columns, p.columns + p.count) {
    while (columns.size() % 4 != 0) columns.push_back(columns.back());
  }
  std::vector<double> padded(const double* weights, size_t count) const {
    std::vector<double> all(weights, weights + count);
    all.resize(columns.size());
    return all;
  }
};
}  // namespace

void addCombination(const KernelSet& set, Columns p, const double* weights, double* x) {
  if (p.count == 0) return;
  const Fours fours(p);
  const std::vector<double> padded = fours.padded(weights, p.count);
  each(p.rows, kRows, (p.count + 2) * sizeof(double), [&](size_t, size_t begin, size_t rest) {
    set.float64.addColumns(fours.columns.data(), padded.data(), padded.size(), begin, x + begin, rest);
  });
}

void gemmInPlace(const KernelSet& set, Columns p, const double* const* q, size_t made) {
  if (p.count == 0) return;
  const Fours fours(p);
  std::vector<std::vector<double>> weights;
  for (size_t k = 0; k < made; ++k) weights.push_back(fours.padded(q[k], p.count));
  // No exception may leave a thread of the pool: it is thrown here.
  std::atomic<bool> isShort{false};
  // They are bound by arithmetic, not by memory.
  each(p.rows, kBlock, p.count * made * sizeof(double), [&](size_t, size_t begin, size_t rest) {
    const std::unique_ptr<double[]> block(new (std::nothrow) double[made * rest]());  // zeros
    if (block == nullptr) {
      isShort = true;
      return;
    }
    for (size_t k = 0; k < made; ++k) {
      set.float64.addColumns(fours.columns.data(), weights[k].data(), weights[k].size(), begin, &block[k * rest], rest);
    }
    for (size_t k = 0; k < p.count; ++k) {
      if (k < made) {
        memcpy(p.columns[k] + begin, &block[k * rest], rest * sizeof(double));
      } else {
        memset(p.columns[k] + begin, 0, rest * sizeof(double));
      }
    }
  });
  if (isShort) throw std::bad_alloc();
}

void gram(const KernelSet& set, Columns p, double* products) {
  if (p.count == 0) return;
  const auto kernel = set.float64.dot[kDouble][kDouble];
  memset(products, 0, p.count * p.count * sizeof(double));
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
