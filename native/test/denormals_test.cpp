// FlushDenormals: denormal numbers are 0 during a step, on every thread that takes part in it, and not after it.
#include "../engine/denormals.h"

#include <math.h>

#include <atomic>

#include "buffer.h"
#include "check.h"
#include "control.h"
#include "spy.h"

namespace {
constexpr float kDenormal = 0x1p-140f;

uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// Whether this thread treats denormal numbers as 0, both as operands and as results.
bool isFlushing() {
  volatile float denormal = kDenormal, large = 0x1p+30f, small = 0x1p-126f, quarter = 0.25f;
  volatile float read = denormal * large, made = small * quarter;
  const bool flushes = bitsOf(read) == 0 && bitsOf(made) == 0;
  CHECK(flushes || (read == 0x1p-110f && made == 0x1p-128f));
  return flushes;
}

std::atomic<int> runs{0}, flushed{0};

/// One step with a dense or sparse gradient of `length` elements. Records in which runs of the kernel denormal numbers
/// were flushed.
struct Step {
  Step(const KernelSet& set, const char* kernel, size_t threads, size_t length, bool ofRows, bool isOn) {
    const Environment environment(threads);
    runs = flushed = 0;
    Spy spy(set, kernel, [] { ++runs, flushed += isFlushing(); });
    Control control = idle();
    control.measureNorm = 1;
    control.flushDenormals = isOn;
    float row[] = {1, INFINITY, 0, 1, 0, 0, 0, 1, 1};
    int32_t rowOf[] = {0};
    Plan plan(spy.set(), 1, {&control, row, kPassFloats + 2, rowOf});
    std::vector<float> param(length, 0.0f), state(length, 0.0f), grad(length, kDenormal);
    const size_t columns = 50;
    std::vector<uint32_t> names;
    for (size_t i = 0; i < length / columns; ++i) names.push_back(static_cast<uint32_t>(i));
    plan.setTensor(0, spy.kernel(), {param.data(), nullptr, nullptr, {state.data()}, length, false}, columns);
    if (ofRows) plan.setSparseGrad(0, {names.data(), names.size(), grad.data(), columns});
    if (!ofRows) plan.setGrad(0, grad.data());
    plan.step();
    CHECK(!isFlushing());
    CHECK(runs > 0);
    allFlushed = flushed == runs;
    noneFlushed = flushed == 0;
    // The norm is measured outside the update, with denormal numbers.
    CHECK(control.gradNorm > 0);
    isZero = true;
    for (float w : param) isZero = isZero && w == 0;
    tookPart = spy.threads();
    if (threads > 1) checkPool(threads);
  }

  /// Checks that no thread of the pool still flushes.
  void checkPool(size_t threads) {
    std::vector<char> flushing(64, 2);
    parallel::run(
        flushing.size(), threads,
        [](void* context, size_t i) {
          (*static_cast<std::vector<char>*>(context))[i] = isFlushing();
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        },
        &flushing);
    for (char f : flushing) CHECK_EQUAL(f, 0);
  }

  bool allFlushed, noneFlushed, isZero;
  size_t tookPart;
};
}  // namespace

TEST("FlushDenormals: flushes during its lifetime if on, and restores the mode, also if nested") {
  CHECK(!isFlushing());
  {
    const FlushDenormals off(false);
    CHECK(!isFlushing());
    {
      const FlushDenormals on(true);
      CHECK(isFlushing());
      {
        const FlushDenormals inner(true), none(false);
        CHECK(isFlushing());
      }
      CHECK(isFlushing());
    }
    CHECK(!isFlushing());
  }
  CHECK(!isFlushing());
}

TEST("FlushDenormals: does not change rounding") {
  volatile float one = 1, tiny = 0x1p-24f, sum = one + tiny, more = one + 3 * tiny;
  const FlushDenormals on(true);
  volatile float flushedSum = one + tiny, flushedMore = one + 3 * tiny;
  CHECK_EQUAL(sum, 1);
  CHECK_EQUAL(flushedSum, sum);
  CHECK_EQUAL(more, flushedMore);
  CHECK(more > 1);
}

TEST("FlushDenormals: a step flushes if and only if flushDenormals is set") {
  forEachSet([](const KernelSet& set) {
    for (const char* kernel : {"sgd", "adagrad", "adagrad-row-wise"}) {
      for (bool ofRows : {false, true}) {
        const Step on(set, kernel, 1, 1000, ofRows, true);
        CHECK(on.allFlushed && on.isZero);
        const Step off(set, kernel, 1, 1000, ofRows, false);
        CHECK(off.noneFlushed && !off.isZero);
      }
    }
  });
}

TEST("FlushDenormals: works on every thread of a step, and on no thread after it") {
  for (bool ofRows : {false, true}) {
    for (bool isOn : {true, false}) {
      const Step step(widestSet(), "sgd", 3, 400000, ofRows, isOn);
      CHECK(step.tookPart > 1);
      CHECK(isOn ? step.allFlushed && step.isZero : step.noneFlushed && !step.isZero);
    }
  }
}
