// Roots with FMA: the same bits for numbers of all magnitudes, and used only where that is faster.
#include "../engine/denormals.h"
#include "../engine/roots.h"
#include "check.h"
#include "sets.h"

namespace {
/// More than a block of vectors, and something left over at both ends.
constexpr size_t kLength = 5003;

struct Arrays {
  std::vector<float> param, grad, state[kMaxState];

  explicit Arrays(const Kernel& kernel) {
    uint32_t bits = 1;
    const auto next = [&bits] {
      bits = bits * 1664525u + 1013904223u;
      const uint32_t mixed = bits ^ bits >> 16;
      float x;
      memcpy(&x, &mixed, sizeof x);
      return x;
    };
    for (size_t i = 0; i < kLength; ++i) {
      param.push_back(next());
      grad.push_back(i % 2 == 0 ? 0 : next());
      for (size_t s = 0; s < kernel.stateCount; ++s) state[s].push_back(i % 8 == 0 ? next() : fabsf(next()));
    }
  }

  void run(decltype(Kernel::run) kernelRun, const Pass& pass, bool isFlushed) {
    Span span = {param.data(), grad.data(), nullptr, {}, kLength, false};
    for (size_t s = 0; s < kMaxState; ++s) span.state[s] = state[s].data();
    float constants[kMaxConstants];
    for (float& constant : constants) constant = 0.25f;
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

volatile size_t turns = 0;
template <int kTurns>
void waste(const Pass&, const float*, const Span&) {
  for (int i = 0; i < kTurns; ++i) turns = turns + 1;
}
constexpr auto kSlow = &waste<20000>, kFast = &waste<100>;

Kernel kernelOf(decltype(Kernel::run) run, decltype(Kernel::run) onlyNeutral, decltype(Kernel::run) always) {
  Kernel kernel = {};
  kernel.run = run;
  kernel.runWithFma[0] = onlyNeutral;
  kernel.runWithFma[1] = always;
  return kernel;
}

void wasteUnlessNeutral(const Pass& pass, const float* constants, const Span& span) {
  (pass.gradScale == 1 ? kFast : kSlow)(pass, constants, span);
}
}  // namespace

TEST("roots: the same bits for floats of all magnitudes, with denormal numbers and with those flushed") {
  Pass scaled = kNeutralPass;
  scaled.gradScale = -0.3f;
  scaled.decayFactor = 0.9f;
  forEachSet([&](const KernelSet& set) {
    for (size_t k = 0; k < set.count; ++k) {
      const Kernel& kernel = set.kernels[k];
      if (kernel.runWithFma[0] == nullptr) continue;
      for (const Pass& pass : {kNeutralPass, scaled}) {
        for (bool isFlushed : {false, true}) {
          Arrays expected(kernel);
          expected.run(kernel.run, pass, isFlushed);
          for (const auto kernelRun : kernel.runWithFma) {
            Arrays actual(kernel);
            actual.run(kernelRun, pass, isFlushed);
            CHECK(actual.isSame(expected));
          }
        }
      }
    }
  });
}

TEST("roots: a kernel without them is used as it is") {
  const Kernel kernel = kernelOf(kSlow, nullptr, nullptr);
  CHECK(withFasterRoots(&kernel) == &kernel);
}

TEST("roots: the faster function is used, and measured once") {
  static const Kernel faster = kernelOf(kSlow, kFast, kFast), slower = kernelOf(kFast, kSlow, kSlow);
  static const Kernel ifNeutral = kernelOf(kSlow, &wasteUnlessNeutral, kSlow);
  CHECK(withFasterRoots(&faster)->run == kFast);
  CHECK(withFasterRoots(&slower)->run == kFast);
  CHECK(withFasterRoots(&ifNeutral)->run == &wasteUnlessNeutral);
  const size_t before = turns;
  CHECK(withFasterRoots(&faster) == withFasterRoots(&faster));
  CHECK_EQUAL(turns, before);
}
