// FlushDenormals: denormal numbers count as 0 inside, on every thread that does a part of the step, and count again
// after.
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

/// Whether this thread takes denormal numbers for 0: those that it reads, and those that it would make.
bool isFlushing() {
  volatile float denormal = kDenormal, large = 0x1p+30f, small = 0x1p-126f, quarter = 0.25f;
  volatile float read = denormal * large, made = small * quarter;
  const bool flushes = bitsOf(read) == 0 && bitsOf(made) == 0;
  CHECK(flushes || (read == 0x1p-110f && made == 0x1p-128f));
  return flushes;
}

std::atomic<int> runs{0}, flushed{0};

/// Of a step over `length` elements, or as many in rows, with as many threads: how many runs of the kernel were
/// flushed.
struct Step {
  Step(const KernelSet& set, const char* kernel, size_t threads, size_t length, bool ofRows, bool isOn) {
    const Environment environment(threads);
    runs = flushed = 0;
    Spy spy(set, kernel, [] { ++runs, flushed += isFlushing(); });
    Control control = idle();
    control.measureNorm = 1;
    control.flushDenormals = isOn;
    float row[] = {1, INFINITY, 0, 1, 0, 0, 1, 1};
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
    // The norm is not part of the update: denormal numbers count in it.
    CHECK(control.gradNorm > 0);
    isZero = true;
    for (float w : param) isZero = isZero && w == 0;
    tookPart = spy.threads();
    if (threads > 1) lookAtThePool(threads);
  }

  /// None of its threads has kept what it was told for the step.
  void lookAtThePool(size_t threads) {
    std::vector<char> flushing(64, 2);
    parallel::run(
        flushing.size(), threads,
        [](void* context, size_t i) {
          (*static_cast<std::vector<char>*>(context))[i] = isFlushing();
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        },
        &flushing);
    for (char f : flushing) CHECK(f == 0);
  }

  bool allFlushed, noneFlushed, isZero;
  size_t tookPart;
};
}  // namespace

TEST("denormals: flushed while it lives and is on, restored after, also inside another") {
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

TEST("denormals: rounding stays as it was") {
  volatile float one = 1, tiny = 0x1p-24f, sum = one + tiny, more = one + 3 * tiny;
  const FlushDenormals on(true);
  volatile float flushedSum = one + tiny, flushedMore = one + 3 * tiny;
  CHECK(sum == 1 && flushedSum == sum && more == flushedMore && more > 1);
}

TEST("denormals: a step takes them for 0 if it is asked to, and only then") {
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

TEST("denormals: on every thread of a step, and on none of the pool after it") {
  for (bool ofRows : {false, true}) {
    for (bool isOn : {true, false}) {
      const Step step(widestSet(), "sgd", 3, 400000, ofRows, isOn);
      CHECK(step.tookPart > 1);
      CHECK(isOn ? step.allFlushed && step.isZero : step.noneFlushed && !step.isZero);
    }
  }
}
