#include "roots.h"

#include <string.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "auto_tune.h"

namespace {
/// Arrays of a kernel in the nearest cache. Each begins at another place of its page: a CPU mistakes a store for one to
/// an address that it differs from by 4096 bytes.
class Sample {
 public:
  Sample() {
    std::fill_n(constants_, kMaxConstants, 0.5f);
    span_.length = kLength;
    span_.param = arrays_[0];
    span_.grad = arrays_[1];
    for (size_t s = 0; s < kMaxState; ++s) span_.state[s] = arrays_[2 + s];
    for (auto& array : arrays_) std::fill_n(array, kLength, 0.5f);
  }

  /// Fills the state with numbers up to 16, and the first half with some that repeat: a formula with these constants
  /// takes the root of an even and of an odd power of 2 in a vector with FMA. Each root is seen in the params. The
  /// squares of the gradients are too small to change the state.
  void fillForComparison() {
    std::fill_n(arrays_[0], kLength, 0.0f);
    std::fill_n(arrays_[1], kLength, 0x1p-20f);
    for (size_t s = 0; s < kMaxState; ++s) {
      float* const state = arrays_[2 + s];
      for (size_t i = 0; i < kLength / 2; ++i) state[i] = static_cast<float>(i % 16 + 1) * 0.5f;
      for (size_t i = kLength / 2; i < kLength; ++i) state[i] = static_cast<float>(i + 1) * 0x1p-6f;
    }
  }

  bool isSame(const Sample& other) const { return memcmp(arrays_, other.arrays_, sizeof arrays_) == 0; }

  void step(decltype(Kernel::run) run, const Pass& pass) { run(pass, constants_, span_); }

  double secondsOf(decltype(Kernel::run) run, const Pass& pass) {
    const double start = seconds();
    for (int i = 0; i < 4; ++i) step(run, pass);
    return seconds() - start;
  }

 private:
  static constexpr size_t kLength = kMinForRoots;
  alignas(64) float arrays_[2 + kMaxState][kLength + 48] = {};
  float constants_[kMaxConstants];
  Span span_ = {};
};

/// Whether `candidate` is faster than `run`. The least of some times in turn: other work only adds to a time.
bool isFaster(decltype(Kernel::run) candidate, decltype(Kernel::run) run, const Pass& pass) {
  constexpr double kLeastGain = 1.03;
  Sample sample;
  double least[2] = {INFINITY, INFINITY};
  for (int i = 0; i < 12; ++i) {
    least[0] = std::min(least[0], sample.secondsOf(candidate, pass));
    least[1] = std::min(least[1], sample.secondsOf(run, pass));
  }
  return kLeastGain * least[0] < least[1];
}

/// Whether both compute the same bits here. They do on every CPU that approximates 1 / sqrt as its manual says.
/// Emulators may not: for Bochs 2.7, 1 / sqrt(2) is 1.
bool isEqual(decltype(Kernel::run) candidate, decltype(Kernel::run) run, const Pass& pass) {
  Sample actual, expected;
  actual.fillForComparison();
  expected.fillForComparison();
  actual.step(candidate, pass);
  expected.step(run, pass);
  return actual.isSame(expected);
}

decltype(Kernel::run) fasterRun(const Kernel& kernel) {
  Pass scaled = kNeutralPass;
  scaled.gradScale = scaled.decayFactor = 0.5f;
  if (!isEqual(kernel.runWithFma[1], kernel.run, scaled)) return kernel.run;
  if (!isEqual(kernel.runWithFma[0], kernel.run, kNeutralPass)) return kernel.run;
  if (isFaster(kernel.runWithFma[1], kernel.run, scaled)) return kernel.runWithFma[1];
  return isFaster(kernel.runWithFma[0], kernel.run, kNeutralPass) ? kernel.runWithFma[0] : kernel.run;
}
}  // namespace

const Kernel* withFasterRoots(const Kernel* kernel) {
  // Never freed: a step on another thread may still run when the process ends.
  static std::mutex& mutex = *new std::mutex;
  static auto& copies = *new std::map<const Kernel*, Kernel>;
  if (kernel->runWithFma[0] == nullptr) return kernel;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = copies.find(kernel);
  if (found != copies.end()) return &found->second;
  Kernel copy = *kernel;
  copy.run = fasterRun(*kernel);
  return &copies.emplace(kernel, copy).first->second;
}
