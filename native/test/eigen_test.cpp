// eigen: A v = value v, orthonormal vectors, and the same bits with every instruction set and number of threads.
#include "../engine/eigen.h"

#include <math.h>

#include "../engine/parallel.h"
#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
/// A symmetric matrix of numbers of all sizes.
Buffer symmetric(size_t side, uint32_t seed) {
  Random random(seed);
  Buffer matrix(side * side);
  random.fill(&matrix, Values::kOrdinary);
  for (size_t i = 0; i < side; ++i) {
    for (size_t j = 0; j < i; ++j) matrix.set(j * side + i, matrix.data()[i * side + j]);
  }
  return matrix;
}

enum Work { kVectors, kQuarter, kHalf, kOrthonormal };

Buffer run(const KernelSet& set, Work work, Buffer matrix, size_t side, size_t threads) {
  std::vector<double> memory(eigen::memoryDoubles(side), NAN);
  const eigen::Resources resources = {set, memory.data(), threads, false};
  Buffer out(side * side);
  if (work == kVectors) eigen::eigenvectors(resources, matrix.data(), side, out.data(), nullptr);
  if (work == kQuarter) eigen::inverseRoot(resources, matrix.data(), side, {0.5, 0.1, true}, out.data());
  if (work == kHalf) eigen::inverseRoot(resources, matrix.data(), side, {1, 1e-6, false}, out.data());
  if (work == kOrthonormal) eigen::orthonormalize(resources, matrix.data(), side, out.data());
  CHECK(out.guarded() && matrix.guarded());
  return out;
}

double product(const float* a, size_t strideA, const float* b, size_t strideB, size_t length) {
  double sum = 0;
  for (size_t k = 0; k < length; ++k) {
    sum += static_cast<double>(a[k * strideA]) * static_cast<double>(b[k * strideB]);
  }
  return sum;
}
}  // namespace

TEST("decompositions have the same bits with every set and number of threads") {
  for (size_t side : {1, 2, 3, 5, 8, 17, 33, 70}) {
    const Buffer matrix = symmetric(side, static_cast<uint32_t>(side));
    for (const Work work : {kVectors, kQuarter, kHalf, kOrthonormal}) {
      Buffer expected = run(widestSet(), work, matrix, side, 1);
      forEachSet([&](const KernelSet& set) {
        for (size_t threads : {1, 3}) {
          CHECK_EQUAL(run(set, work, matrix, side, threads).differs(expected), side * side);
        }
      });
    }
  }
}

TEST("eigenvectors and the factor of QR are orthonormal, and diagonalize the matrix") {
  for (size_t side : {1, 2, 7, 40}) {
    Buffer matrix = symmetric(side, 9);
    for (const Work work : {kVectors, kOrthonormal}) {
      Buffer vectors = run(widestSet(), work, matrix, side, 1);
      for (size_t i = 0; i < side; ++i) {
        for (size_t j = 0; j < side; ++j) {
          const double dot = product(vectors.data() + i, side, vectors.data() + j, side, side);
          CHECK(fabs(dot - (i == j ? 1 : 0)) < 1e-6);
        }
      }
    }
    Buffer vectors = run(widestSet(), kVectors, matrix, side, 1);
    double largest = 0;
    for (size_t i = 0; i < side * side; ++i) largest = fmax(largest, fabs(static_cast<double>(matrix.data()[i])));
    for (size_t k = 0; k < side; ++k) {
      Buffer turned(side);
      for (size_t i = 0; i < side; ++i) {
        turned.set(i, static_cast<float>(product(matrix.data() + i * side, 1, vectors.data() + k, side, side)));
      }
      for (size_t j = 0; j < side; ++j) {
        if (j == k) continue;
        CHECK(fabs(product(turned.data(), 1, vectors.data() + j, side, side)) < 1e-6 * side * largest);
      }
    }
  }
}

TEST("a matrix with NaN or infinity gives the identity, and the root 0") {
  for (const float value : {static_cast<float>(NAN), static_cast<float>(INFINITY)}) {
    Buffer matrix = symmetric(4, 3);
    matrix.set(6, value);
    for (const Work work : {kVectors, kQuarter, kHalf, kOrthonormal}) {
      Buffer out = run(widestSet(), work, matrix, 4, 1);
      const bool isRoot = work == kQuarter || work == kHalf;
      for (size_t i = 0; i < 16; ++i) CHECK_EQUAL(out.data()[i], i % 5 == 0 && !isRoot ? 1.0f : 0.0f);
    }
  }
}
