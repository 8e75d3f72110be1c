// Roots with FMA: the same bits for numbers of all magnitudes, and used only where that is faster.
#include <stdlib.h>

#include "../engine/auto_tune.h"
#include "../engine/denormals.h"
#include "../engine/roots.h"
#include "check.h"
#include "sets.h"

namespace {
/// More than a block of vectors, and something left over at both ends.
constexpr size_t kLength = 20011;

/// Numbers of one magnitude in each block, so that a root is neither lost beside another number nor infinite. Some
/// blocks have numbers of which there is no root, too.
struct Arrays {
  std::vector<float> param, grad, state[kMaxState];

  Arrays(const Kernel& kernel, float leastSquare) {
    constexpr size_t kBlock = 53;
    const float special[] = {-1.0f, -0.0f, NAN, INFINITY, -INFINITY, 0.0f};
    uint32_t bits = 1;
    const auto fraction = [&bits] {
      bits = bits * 1664525u + 1013904223u;
      return static_cast<float>(bits >> 8) * 0x1p-24f;
    };
    int exponent = 0;
    for (size_t i = 0; i < kLength; ++i) {
      if (i % kBlock == 0) exponent = static_cast<int>(i / kBlock * 7 % 140) - 75;
      param.push_back(fraction() - 0.5f);
      grad.push_back(ldexpf(fraction() - 0.5f, exponent));
      const float square = fmaxf(leastSquare, ldexpf(1 + 3 * fraction(), 2 * exponent));
      const bool isSpecial = i / kBlock % 5 == 0 && i % 11 == 0;
      for (size_t s = 0; s < kernel.stateCount; ++s) state[s].push_back(isSpecial ? special[i % 6] : square);
    }
  }

  void run(const Kernel& kernel, decltype(Kernel::run) kernelRun, const Pass& pass, bool isFlushed, bool prefetch) {
    Span span = {param.data(), grad.data(), nullptr, {}, kLength, false, prefetch};
    for (size_t s = 0; s < kMaxState; ++s) span.state[s] = state[s].data();
    float constants[kMaxConstants];
    for (float& constant : constants) constant = 0.25f;
    // Near 0, or no root would matter beside it. It is the last constant of these kernels.
    CHECK(std::string(kernel.constants).substr(strlen(kernel.constants) - 3) == "eps");
    constants[kernel.constantCount - 1] = 1e-30f;
    const FlushDenormals flush(isFlushed);
    kernelRun(pass, constants, span);
  }

  bool isSame(const Arrays& other) const {
    bool all = isSame(param, other.param) && isSame(grad, other.grad);
    for (size_t s = 0; s < kMaxState; ++s) all = all && isSame(state[s], other.state[s]);
    return all;
  }

 private:
  static bool isSame(const std::vector<float>& a, const std::vector<float>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      if (memcmp(&a[i], &b[i], sizeof a[i]) != 0 && !(isnan(a[i]) && isnan(b[i]))) return false;
    }
    return true;
  }
};

void check(const Kernel& kernel, decltype(Kernel::run) kernelRun, const Pass& pass, bool isFlushed, float leastSquare) {
  Arrays expected(kernel, leastSquare);
  expected.run(kernel, kernel.run, pass, isFlushed, false);
  for (const bool prefetch : {false, true}) {
    Arrays actual(kernel, leastSquare);
    actual.run(kernel, kernelRun, pass, isFlushed, prefetch);
    CHECK(actual.isSame(expected));
  }
}

size_t calls = 0;
/// Takes at least so long, whatever else the machine does.
template <int kMicroseconds>
void wait(const Pass&, const float*, const Span&) {
  ++calls;
  for (const double start = seconds(); seconds() - start < kMicroseconds * 1e-6;) continue;
}
constexpr auto kSlow = &wait<30>, kFast = &wait<0>;

Kernel kernelOf(decltype(Kernel::run) run, decltype(Kernel::run) onlyNeutral, decltype(Kernel::run) always) {
  Kernel kernel = {};
  kernel.run = run;
  kernel.runWithFma[0] = onlyNeutral;
  kernel.runWithFma[1] = always;
  return kernel;
}

/// Fast, and wrong as Adam is in Bochs: in one of three vectors, at the root of 2, which is half of a state of 4.
void beWrong(const Pass&, const float*, const Span& span) {
  for (size_t i = 0; i < span.length; ++i) {
    if (i / 16 % 3 == 2 && span.state[0][i] == 4) span.param[i] = 1;
  }
}

void waitUnlessNeutral(const Pass& pass, const float* constants, const Span& span) {
  (pass.gradScale == 1 ? kFast : kSlow)(pass, constants, span);
}
}  // namespace

TEST("roots: the same bits for floats of all magnitudes, with denormal numbers and with those flushed") {
  Pass scaled = kNeutralPass;
  scaled.gradScale = -0.3f;
  scaled.decayFactor = 0.9f;
  // In Bochs only what the engine chooses is right for powers of 2 (scripts/avx512.mjs, which sets this).
  const float kLeast = getenv("SCHUSS_BOCHS") == nullptr ? 0x1p-149f : 0x3p-147f;
  forEachSet([&](const KernelSet& set) {
    for (size_t k = 0; k < set.count; ++k) {
      const Kernel& kernel = set.kernels[k];
      if (kernel.runWithFma[0] == nullptr) continue;
      for (const Pass& pass : {kNeutralPass, scaled}) {
        for (bool isFlushed : {false, true}) {
          check(kernel, kernel.runWithFma[0], pass, isFlushed, kLeast);
          check(kernel, kernel.runWithFma[1], pass, isFlushed, kLeast);
          check(kernel, withFasterRoots(&kernel)->run, pass, isFlushed, 0x1p-149f);
        }
      }
    }
  });
}

TEST("roots: a kernel without them is used as it is") {
  const Kernel kernel = kernelOf(kSlow, nullptr, nullptr);
  CHECK(withFasterRoots(&kernel) == &kernel);
}

TEST("roots: a function with other bits is not used, however fast") {
  static const Kernel wrong = kernelOf(kSlow, &beWrong, &beWrong);
  CHECK(withFasterRoots(&wrong)->run == kSlow);
}

TEST("roots: the faster function is used, and measured once") {
  static const Kernel faster = kernelOf(kSlow, kFast, kFast), slower = kernelOf(kFast, kSlow, kSlow);
  static const Kernel ifNeutral = kernelOf(kSlow, &waitUnlessNeutral, &wait<100>);
  CHECK(withFasterRoots(&faster)->run == kFast);
  CHECK(withFasterRoots(&slower)->run == kFast);
  CHECK(withFasterRoots(&ifNeutral)->run == &waitUnlessNeutral);
  const size_t before = calls;
  CHECK(withFasterRoots(&faster) == withFasterRoots(&faster));
  CHECK_EQUAL(calls, before);
}
