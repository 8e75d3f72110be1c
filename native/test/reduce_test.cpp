// sumSquares in its fixed order, and lerp: the same bits from every instruction set.
#include "../dispatch.h"
#include "../plan.h"
#include "buffer.h"
#include "check.h"

namespace {
// The definition: in chunks of 16384, element i goes to lane i mod 16, and the lanes are folded in halves.
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

TEST("sumSquares is its definition, to the bit") {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 1003, 16383, 16384, 16385, 100003}) {
      Buffer x(length);
      Random(static_cast<uint32_t>(length)).fill(&x, values);
      for (size_t s = 0; s < count; ++s) CHECK(same(sumSquares(*sets[s], x.data(), length), defined(x.data(), length)));
      CHECK(x.guarded());
    }
  }
}

TEST("the squares of finite floats have a finite sum") {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  const std::vector<float> huge(100003, 0x1.fffffep127f);
  for (size_t s = 0; s < count; ++s) CHECK(isfinite(sumSquares(*sets[s], huge.data(), huge.size())));
}

TEST("lerp: equal to its formula, inside its span") {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (Values values : {Values::kOrdinary, Values::kAny}) {
    for (size_t length : {0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 1000, 1003}) {
      Buffer target(length), source(length);
      Random random(static_cast<uint32_t>(length));
      random.fill(&target, values);
      random.fill(&source, values);
      Buffer expected = target;
      const Buffer before = source;
      for (size_t i = 0; i < length; ++i) {
        const float t = target.data()[i], difference = source.data()[i] - t, part = 0.3f * difference;
        expected.set(i, t + part);
      }
      for (size_t s = 0; s < count; ++s) {
        Buffer actual = target;
        sets[s]->lerp(actual.data(), source.data(), 0.3f, length);
        CHECK(actual.differs(expected) == length);
        CHECK(actual.guarded() && source.differs(before) == length);
      }
    }
  }
}
