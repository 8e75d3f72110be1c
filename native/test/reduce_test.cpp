// sumSquares in its fixed order, and lerp, add and scale: the same bits with every instruction set.
#include "../engine/plan.h"
#include "buffer.h"
#include "check.h"
#include "random.h"
#include "sets.h"

namespace {
// The definition: chunks of 16384; element i goes to lane i mod 16; the upper half of the lanes is added to the lower.
double defined(const float* x, size_t length) {
  double sum = 0;
  for (size_t begin = 0; begin < length; begin += 16384) {
    double lanes[16] = {};
    for (size_t i = begin; i < length && i < begin + 16384; ++i) {
      lanes[(i - begin) % 16] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    for (size_t half = 8; half > 0; half /= 2) {
      for (size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    sum += lanes[0];
  }
  return sum;
}

bool same(double a, double b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }
}  // namespace

TEST("reduce: sumSquares is exact to the bit") {
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 1003, 16383, 16384, 16385, 100003}) {
      Buffer x(length);
      Random(static_cast<uint32_t>(length)).fill(&x, values);
      const double expected = defined(x.data(), length);
      forEachSet([&](const KernelSet& set) { CHECK(same(sumSquares(set, x.data(), length), expected)); });
      CHECK(x.guarded());
    }
  }
}

TEST("reduce: the squares of finite floats have a finite sum") {
  const std::vector<float> huge(100003, 0x1.fffffep127f);
  forEachSet([&](const KernelSet& set) { CHECK(isfinite(sumSquares(set, huge.data(), huge.size()))); });
}

namespace {
/// Compares `run` with the formula in every instruction set.
template <class Run, class Formula>
void compare(Run run, Formula formula) {
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 1000, 1003}) {
      Buffer target(length), source(length);
      Random random(static_cast<uint32_t>(length));
      random.fill(&target, values);
      random.fill(&source, values);
      Buffer expected = target;
      const Buffer before = source;
      for (size_t i = 0; i < length; ++i) expected.set(i, formula(target.data()[i], source.data()[i]));
      forEachSet([&](const KernelSet& set) {
        Buffer actual = target;
        run(set, actual.data(), source.data(), length);
        CHECK_EQUAL(actual.differs(expected), length);
        CHECK(actual.guarded());
        CHECK(source.guarded());
        CHECK_EQUAL(source.differs(before), length);
      });
    }
  }
}
}  // namespace

TEST("reduce: lerp equals its formula, and writes only inside its span") {
  compare([](const KernelSet& set, float* t, float* s, size_t n) { set.lerp(t, s, 0.3f, n); },
          [](float t, float s) {
            const float difference = s - t, part = 0.3f * difference;
            return t + part;
          });
}

TEST("reduce: add equals its formula, and writes only inside its span") {
  compare([](const KernelSet& set, float* t, float* s, size_t n) { set.add(t, s, n); },
          [](float t, float s) { return t + s; });
}

TEST("reduce: scale equals its formula for any factor, and writes only inside its span") {
  for (float factor : {0.3f, -2.0f, 1.0f, 0.0f, 0x1p-149f}) {
    compare([=](const KernelSet& set, float* x, float*, size_t n) { set.scale(x, factor, n); },
            [=](float x, float) { return factor * x; });
  }
}
