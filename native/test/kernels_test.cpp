// Every kernel of every instruction set computes the same bits as the scalar one, and writes only inside its span.
#include "../engine/dispatch.h"
#include "buffer.h"
#include "check.h"
#include "random.h"

namespace {
struct Tensor {
  /// A kernel per matrix row sees one whole row, with one number in its state of rows.
  Tensor(size_t length, const Kernel& kernel) : param(length), grad(length), ema(length) {
    for (Layout layout : kernel.layout) state.emplace_back(kernel.perRow && layout == kRow ? 1 : length);
  }

  Span span(bool hasEma, bool zeroGrad) {
    Span span = {param.data(), grad.data(), hasEma ? ema.data() : nullptr, {}, param.length(), zeroGrad};
    for (size_t s = 0; s < kMaxState; ++s) span.state[s] = state[s].data();
    return span;
  }

  /// The names of the arrays that differ, each with the first index; empty if none does.
  std::string differs(const Tensor& other) const {
    const auto compare = [](const char* name, const Buffer& a, const Buffer& b) {
      const size_t i = a.differs(b);
      return i == a.length() ? std::string() : std::string(name) + "[" + std::to_string(i) + "]";
    };
    std::string where = compare("param", param, other.param) + compare("grad", grad, other.grad);
    where += compare("ema", ema, other.ema);
    for (size_t s = 0; s < kMaxState; ++s) where += compare("state", state[s], other.state[s]);
    return where;
  }

  bool guarded() const {
    bool all = param.guarded() && grad.guarded() && ema.guarded();
    for (const Buffer& buffer : state) all = all && buffer.guarded();
    return all;
  }

  Buffer param, grad, ema;
  std::vector<Buffer> state;
};

/// One combination of the options of Pass and Span.
struct Use {
  Pass pass;
  bool hasEma, zeroGrad;
};

std::vector<Use> uses() {
  std::vector<Use> all;
  for (float gradScale : {1.0f, -0.37f}) {
    for (float clipValue : {static_cast<float>(INFINITY), 0.5f}) {
      for (float l2 : {0.0f, 0.1f}) {
        for (float decayFactor : {1.0f, 0.9f}) {
          for (bool zeroGrad : {false, true}) {
            all.push_back({{gradScale, clipValue, l2, decayFactor, 0, 0}, false, zeroGrad});
            for (float emaStart : {0.0f, 1.0f}) {
              all.push_back({{gradScale, clipValue, l2, decayFactor, 0.01f, emaStart}, true, zeroGrad});
            }
          }
        }
      }
    }
  }
  return all;
}

bool same(double a, double b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }

/// Runs a kernel, after its measuring walks if it has some. Returns the sums of these.
std::vector<double> run(const Kernel& kernel, decltype(Kernel::run) kernelRun, const Use& use, const float* constants,
                        Tensor* tensor, bool prefetch = false) {
  std::vector<double> norms;
  Span span = tensor->span(use.hasEma, use.zeroGrad);
  span.prefetch = prefetch;
  if (kernel.accumulateRow != nullptr && span.length > 0) {
    const size_t group = span.length < 1024 ? span.length : 1024, rows = span.length / group;
    Span columns = span;
    columns.length = group;
    kernel.accumulateRow(use.pass, constants, span);
    std::vector<double> sums(group);
    kernel.addColumnSquares(use.pass, columns, rows, group, sums.data());
    kernel.accumulateColumns(constants, sums.data(), rows, span.state[1], group);
    for (size_t i = 0; i < group; ++i) span.state[1][i] = sqrtf(span.state[1][i]);  // as Tensor does, in a copy
  }
  if (kernel.measure != nullptr) {
    // The kernel adds to the sums of other parts of the tensor.
    norms = {1, 2};
    kernel.measure(use.pass, constants, span, norms.data());
    CHECK(tensor->guarded());
  }
  if (kernel.sum != nullptr) {
    norms = {1, 2, 3};
    kernel.sum(use.pass, constants, span, norms.data());
    CHECK(tensor->guarded());
  }
  kernelRun(use.pass, constants, span);
  return norms;
}

/// All functions of the instruction sets that must compute the same bits as `run` of kernel `k`.
std::vector<std::pair<const KernelSet*, decltype(Kernel::run)>> runsBeside(const KernelSet** sets, size_t count,
                                                                           size_t k) {
  std::vector<std::pair<const KernelSet*, decltype(Kernel::run)>> all;
  for (size_t s = 0; s < count; ++s) {
    const Kernel& kernel = sets[s]->kernels[k];
    for (const auto kernelRun : {kernel.run, kernel.runWithFma[0], kernel.runWithFma[1]}) {
      if (kernelRun != nullptr) all.emplace_back(sets[s], kernelRun);
    }
  }
  return all;
}

void compareAt(size_t length, const std::vector<Use>& uses, Values values) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  const KernelSet& scalar = *sets[count - 1];
  Random random(static_cast<uint32_t>(length) + 1);
  Buffer zeros(length);
  for (size_t i = 0; i < length; ++i) zeros.set(i, 0.0f);
  for (size_t k = 0; k < scalar.count; ++k) {
    if (scalar.kernels[k].perRow && length == 0) continue;  // a matrix row is never empty
    for (const Use& use : uses) {
      Tensor start(length, scalar.kernels[k]);
      random.fill(&start.param, values);
      random.fill(&start.grad, values);
      random.fill(&start.ema, values);
      // The buffers beyond its state are there to show that it does not write to them.
      for (size_t s = 0; s < scalar.kernels[k].stateCount; ++s) {
        random.fill(&start.state[s], values == Values::kAny ? values : Values::kPositive);
      }
      if (scalar.kernels[k].hasMaxima) start.state[scalar.kernels[k].stateCount] = zeros;
      float constants[kMaxConstants];
      for (float& constant : constants) constant = random.fraction();

      Tensor expected = start;
      const std::vector<double> expectedNorms =
          run(scalar.kernels[k], scalar.kernels[k].run, use, constants, &expected);
      CHECK(expected.guarded());
      if (!use.hasEma) CHECK_EQUAL(expected.ema.differs(start.ema), length);
      CHECK(expected.grad.differs(use.zeroGrad ? zeros : start.grad) == length);

      for (const auto& [set, kernelRun] : runsBeside(sets, count - 1, k)) {
        Tensor actual = start;
        const bool prefetch = random.fraction() < 0.5f;
        const std::vector<double> norms = run(set->kernels[k], kernelRun, use, constants, &actual, prefetch);
        std::string where = actual.differs(expected) + (actual.guarded() ? "" : " memory outside its span");
        for (size_t n = 0; n < norms.size(); ++n) where += same(norms[n], expectedNorms[n]) ? "" : " a norm";
        if (where.empty()) continue;
        const Pass& p = use.pass;
        char text[200];
        snprintf(
            text, sizeof text,
            "%s %s, length %zu, gradScale %g clipValue %g l2 %g decayFactor %g ema %d start %g zero %d prefetch %d",
            set->isa, scalar.kernels[k].name, length, p.gradScale, p.clipValue, p.l2, p.decayFactor, use.hasEma,
            p.emaStart, use.zeroGrad, prefetch);
        fail(__FILE__, __LINE__, std::string(text) + ": expected the bits of scalar, differs at " + where);
      }
    }
  }
}
}  // namespace

TEST("kernels: all instruction sets have the same table") {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  CHECK(count > 0);
  CHECK(std::string(sets[count - 1]->isa) == "scalar");
  for (size_t s = 0; s < count; ++s) {
    CHECK_EQUAL(sets[s]->count, sets[0]->count);
    for (size_t k = 0; k < sets[s]->count; ++k) {
      CHECK(std::string(sets[s]->kernels[k].name) == sets[0]->kernels[k].name);
      CHECK(std::string(sets[s]->kernels[k].state) == sets[0]->kernels[k].state);
      CHECK(std::string(sets[s]->kernels[k].constants) == sets[0]->kernels[k].constants);
      CHECK(sets[s]->kernels[k].perRow == sets[0]->kernels[k].perRow);
    }
  }
}

// Up to two registers of the widest set and one element: covers the limits of every loop and every tail.
TEST("kernels: equal to scalar for ordinary numbers and all lengths up to 33") {
  for (size_t length = 0; length <= 33; ++length) compareAt(length, uses(), Values::kOrdinary);
}

// More than kPiece elements, so that kernels with a state per matrix row sum several pieces.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kLong[] = {2051};  // each takes half a minute
#else
constexpr size_t kLong[] = {2048, 2051};  // without and with elements left over
#endif

TEST("kernels: equal to scalar for ordinary numbers and long spans") {
  for (size_t length : kLong) compareAt(length, uses(), Values::kOrdinary);
}

TEST("kernels: equal to scalar for zeros, denormals, huge numbers, infinities and NaN") {
  for (size_t length : {1, 7, 33}) compareAt(length, uses(), Values::kAny);
  for (size_t length : kLong) compareAt(length, uses(), Values::kAny);
}
