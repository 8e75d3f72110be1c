// Kernel::runSparse: rows of a table, updated in one call, get the bits that one call of the kernel per row gives.
#include <math.h>

#include <algorithm>
#include <vector>

#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
constexpr Pass kPlain = {1, INFINITY, 0, 1, 0, 0};

/// A table, its state, and gradients of some of its rows.
struct Table {
  Table(const Kernel& kernel, size_t length, Values values, bool hasEma)
      : kernel(kernel),
        length(length),
        count(length == 1 ? 401 : 41),  // rows of one number are updated in large blocks
        param(count * length),
        grad(count * length),
        ema(count * length) {
    Random random(static_cast<uint32_t>(length));
    for (size_t s = 0; s < kernel.stateCount; ++s) {
      state.emplace_back(kernel.layout[s] == kElement ? count * length : count);
    }
    for (Buffer* buffer : {&param, &grad, &ema}) random.fill(buffer, values);
    for (Buffer& buffer : state) random.fill(&buffer, values);
    span = {param.data(), nullptr, hasEma ? ema.data() : nullptr, {}, count * length, false};
    for (size_t s = 0; s < kernel.stateCount; ++s) span.state[s] = state[s].data();
    // Every third row stays as it is. The others are in no order.
    for (size_t row = 0; row < count; ++row) {
      if (row % 3 != 0) rows.push_back({grad.data() + row * length, row * 7 % count});
    }
  }

  /// The independent truth: one call for each row.
  void runEach(const Pass& pass, const float* constants) {
    for (const SparseRow& row : rows) {
      Span part = span;
      part.param += row.row * length;
      part.grad = row.grad;
      if (part.ema != nullptr) part.ema += row.row * length;
      for (size_t s = 0; s < kernel.stateCount; ++s) {
        part.state[s] += kernel.layout[s] == kElement ? row.row * length : row.row;
      }
      part.length = length;
      kernel.run(pass, constants, part);
    }
  }

  /// Two calls. The first one knows the rows of the second.
  void runSparse(const Pass& pass, const float* constants) {
    const size_t first = 5;
    kernel.runSparse(pass, constants, span, {rows.data(), first, rows.size(), length});
    kernel.runSparse(pass, constants, span, {rows.data() + first, rows.size() - first, rows.size() - first, length});
  }

  bool equals(const Table& other) const {
    bool same = param.differs(other.param) == param.length() && grad.differs(other.grad) == grad.length() &&
                ema.differs(other.ema) == ema.length() && param.guarded() && grad.guarded() && ema.guarded();
    for (size_t s = 0; s < state.size(); ++s) {
      same = same && state[s].differs(other.state[s]) == state[s].length() && state[s].guarded();
    }
    return same;
  }

  const Kernel& kernel;
  const size_t length, count;
  Buffer param, grad, ema;
  std::vector<Buffer> state;
  Span span;
  std::vector<SparseRow> rows;
};

template <class F>
void forEachSparseKernel(F check) {
  forEachSet([&](const KernelSet& set) {
    for (size_t k = 0; k < set.count; ++k) {
      if (set.kernels[k].runSparse != nullptr) check(set.kernels[k]);
    }
  });
}

bool isSame(const Kernel& kernel, const Pass& pass, size_t length, Values values) {
  float constants[kMaxConstants];
  for (size_t c = 0; c < kMaxConstants; ++c) constants[c] = 0.25f + 0.03125f * static_cast<float>(c);
  const bool hasEma = pass.emaRate != 0;
  Table expected(kernel, length, values, hasEma), actual(kernel, length, values, hasEma);
  expected.runEach(pass, constants);
  actual.runSparse(pass, constants);
  return actual.equals(expected);
}
}  // namespace

TEST("sparse kernels: rows of every length have the bits of one call per row") {
  forEachSparseKernel([](const Kernel& kernel) {
    for (size_t length : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 100, 128, 129}) {
      for (Values values : {Values::kOrdinary, Values::kAny}) CHECK(isSame(kernel, kPlain, length, values));
    }
  });
}

TEST("sparse kernels: scale, decay, clipping and the ema work as in one call per row") {
  const Pass passes[] = {
      {-0.5f, INFINITY, 0, 1, 0, 0}, {1, INFINITY, 0, 0.5f, 0, 0}, {1, 0.125f, 0, 1, 0, 0},
      {1, INFINITY, 0.5f, 1, 0, 0},  {1, INFINITY, 0, 1, 0.5f, 0}, {0.75f, 2, 0.25f, 0.5f, 0.5f, 1},
  };
  forEachSparseKernel([&](const Kernel& kernel) {
    for (const Pass& pass : passes) {
      for (size_t length : {1, 3, 16, 20, 64, 128}) CHECK(isSame(kernel, pass, length, Values::kAny));
    }
  });
}

TEST("sparse kernels: only kernels without norms, means, maxima, sums and matrices take rows") {
  forEachSet([](const KernelSet& set) {
    for (size_t k = 0; k < set.count; ++k) {
      const Kernel& kernel = set.kernels[k];
      const bool isWhole =
          kernel.measure != nullptr || kernel.hasMaxima || kernel.sum != nullptr || kernel.transform != nullptr;
      CHECK((kernel.runSparse == nullptr) == isWhole);
    }
  });
}
