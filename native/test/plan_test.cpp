// Plan::step with dense gradients: norm, clipping, skipping, zeroing, and tensors that take no part.
#include "../engine/plan.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <vector>

#include "check.h"
#include "control.h"
#include "sets.h"

namespace {
/// Two tensors with SGD and lr 1: params 0, gradients (3, 0) and (4), one constants row each. The norm is 5.
struct Fixture {
  explicit Fixture(const KernelSet& set)
      : sgd(kernelNamed(set, "sgd")), plan(set, 2, {&control, rows, kStride, rowOf}) {
    plan.setTensor(0, sgd, {first, nullptr, nullptr, {}, 2, false}, 0);
    plan.setTensor(1, sgd, {second, nullptr, nullptr, {}, 1, false}, 0);
    plan.setGrad(0, firstGrad);
    plan.setGrad(1, secondGrad);
  }

  static constexpr size_t kStride = kPassFloats + 1;
  const Kernel* sgd;
  Control control = idle();
  float rows[2 * kStride] = {1, INFINITY, 0, 1, 0, 0, 0, 1, 1, INFINITY, 0, 1, 0, 0, 0, 1};
  int32_t rowOf[2] = {0, 1};
  float first[2] = {}, second[1] = {};
  float firstGrad[2] = {3, 0}, secondGrad[1] = {4};
  Plan plan;
};

template <class F>
void forEachFixture(F check) {
  forEachSet([&](const KernelSet& set) {
    Fixture fixture(set);
    check(fixture);
  });
}
}  // namespace

TEST("plan: a step updates all tensors, and measures the norm only if requested") {
  forEachFixture([](Fixture& f) {
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK_EQUAL(f.control.gradNorm, kUnwritten);
    CHECK_EQUAL(f.first[0], -3);
    CHECK_EQUAL(f.first[1], 0);
    CHECK_EQUAL(f.second[0], -4);
    CHECK_EQUAL(f.firstGrad[0], 3);
    CHECK_EQUAL(f.secondGrad[0], 4);
  });
}

TEST("plan: the norm is that of the scaled gradients") {
  forEachFixture([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.gradScale = -2;
    f.plan.step();
    CHECK_EQUAL(f.control.gradNorm, 10);
    CHECK_EQUAL(f.first[0], 6);
    CHECK_EQUAL(f.second[0], 8);
  });
}

TEST("plan: clipping scales gradients down to maxNorm, and never up") {
  forEachFixture([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.maxNorm = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.gradNorm, 5);
    const float scale = static_cast<float>(1 / (5 + 1e-6));
    CHECK_EQUAL(f.first[0], -(scale * 3));
    CHECK_EQUAL(f.second[0], -(scale * 4));
    f.control.maxNorm = 100;
    f.first[0] = 0;
    f.plan.step();
    CHECK_EQUAL(f.first[0], -3);
  });
}

TEST("plan: gradScale of the constants row multiplies gradScale of the step, as maximize does") {
  forEachFixture([](Fixture& f) {
    f.rows[Fixture::kStride] = -1;
    f.control.gradScale = 2;
    f.plan.step();
    CHECK_EQUAL(f.first[0], -6);
    CHECK_EQUAL(f.second[0], 8);
  });
}

TEST("plan: a tensor without a constants row takes no part in norm, update and zeroing") {
  forEachFixture([](Fixture& f) {
    f.rowOf[0] = -1;
    f.firstGrad[0] = NAN;
    f.control.measureNorm = f.control.skipNonFinite = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK_EQUAL(f.control.gradNorm, 4);
    CHECK_EQUAL(f.first[0], 0);
    CHECK_EQUAL(f.second[0], -4);
    CHECK(isnan(f.firstGrad[0]));
    CHECK_EQUAL(f.secondGrad[0], 0);
  });
}

TEST("plan: a non-finite gradient skips the step, which still sets gradients to 0 if requested") {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    for (double zeroGrads : {0.0, 1.0}) {
      forEachFixture([=](Fixture& f) {
        f.secondGrad[0] = bad;
        f.control.measureNorm = f.control.skipNonFinite = 1;
        f.control.zeroGrads = zeroGrads;
        f.plan.step();
        CHECK_EQUAL(f.control.applied, 0);
        CHECK(!isfinite(f.control.gradNorm));
        CHECK_EQUAL(f.first[0], 0);
        CHECK_EQUAL(f.second[0], 0);
        CHECK(f.firstGrad[0] == (zeroGrads != 0 ? 0 : 3));
        CHECK(zeroGrads != 0 ? f.secondGrad[0] == 0 : !isfinite(f.secondGrad[0]));
      });
    }
  }
}

TEST("plan: a loss that is not finite skips the step, which still measures the norm and sets gradients to 0") {
  for (double zeroGrads : {0.0, 1.0}) {
    forEachFixture([=](Fixture& f) {
      f.control.measureNorm = 1;
      f.control.skipNonFinite = kSkipAlways;
      f.control.zeroGrads = zeroGrads;
      f.plan.step();
      CHECK_EQUAL(f.control.applied, 0);
      CHECK_EQUAL(f.control.gradNorm, 5);
      CHECK_EQUAL(f.first[0], 0);
      CHECK_EQUAL(f.second[0], 0);
      CHECK_EQUAL(f.firstGrad[0], zeroGrads != 0 ? 0 : 3);
    });
  }
}

TEST("plan: a gradient that overflows when it is scaled skips the step, and a large norm alone does not") {
  struct Case {
    float first, second;
    double gradScale;
    bool isApplied;
  };
  for (const Case& c : {Case{1, 1e30f, 1e30, false}, Case{1e30f, 1, -1e30, false}, Case{FLT_MAX, FLT_MAX, 1, true},
                        Case{1, FLT_MAX, 1 + FLT_EPSILON, false}, Case{1, 1, 1e300, false}}) {
    forEachFixture([=](Fixture& f) {
      f.firstGrad[0] = c.first, f.secondGrad[0] = c.second;
      f.control.measureNorm = f.control.skipNonFinite = 1;
      f.control.gradScale = c.gradScale;
      f.plan.step();
      CHECK_EQUAL(f.control.applied, c.isApplied);
      CHECK_EQUAL(f.first[0], c.isApplied ? -c.first : 0);
      CHECK_EQUAL(f.second[0], c.isApplied ? -c.second : 0);
    });
  }
}

TEST("plan: clipping may bring a gradient back that would overflow when it is scaled") {
  forEachFixture([](Fixture& f) {
    f.firstGrad[0] = 1e30f;
    f.control.measureNorm = f.control.skipNonFinite = 1;
    f.control.gradScale = 1e30;
    f.control.maxNorm = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK(f.first[0] == -1 || f.first[0] == -1 + FLT_EPSILON / 2);
  });
}

TEST("plan: without skipNonFinite, a NaN reaches the params, also through clipping") {
  forEachFixture([](Fixture& f) {
    f.secondGrad[0] = NAN;
    f.control.measureNorm = 1;
    f.control.maxNorm = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK(isnan(f.control.gradNorm));
    CHECK(isnan(f.first[0]) && isnan(f.second[0]));
  });
}

TEST("plan: zeroGrads sets the gradients to 0 in the step") {
  forEachFixture([](Fixture& f) {
    f.control.zeroGrads = 1;
    f.plan.step();
    CHECK_EQUAL(f.first[0], -3);
    CHECK_EQUAL(f.firstGrad[0], 0);
    CHECK_EQUAL(f.secondGrad[0], 0);
  });
}

TEST("plan: accepts an empty tensor") {
  forEachFixture([](Fixture& f) {
    f.plan.setTensor(0, f.sgd, {}, 0);
    f.control.measureNorm = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.gradNorm, 4);
    CHECK_EQUAL(f.second[0], -4);
  });
}

// Chunks of 16384 elements end inside a matrix row of 3. Some contain no start of a matrix row of 20000.
TEST("plan: a per-row kernel runs once on each whole matrix row, however the tensor is cut") {
  for (size_t columns : {3, 20000, 16384, 1}) {
    forEachSet([=](const KernelSet& set) {
      const Kernel* const kernel = kernelNamed(set, "adagrad-row-wise");
      const size_t count = 60000 / columns, length = count * columns;
      std::vector<float> param(length), grad(length), sum(count, 1.0f);
      for (size_t i = 0; i < length; ++i) param[i] = sinf(static_cast<float>(i)), grad[i] = cosf(static_cast<float>(i));
      std::vector<float> expected = param, expectedSum = sum;
      float row[] = {1, INFINITY, 0, 1, 0, 0, 0, 0.5f, 0.25f};
      const Pass pass = {1, INFINITY, 0, 1, 0, 0};
      for (size_t r = 0; r < count; ++r) {
        float* const at = &expected[r * columns];
        kernel->run(pass, row + kPassFloats, {at, &grad[r * columns], nullptr, {&expectedSum[r]}, columns, false});
      }
      Control control = idle();
      int32_t rowOf[] = {0};
      Plan plan(set, 1, {&control, row, kPassFloats + 2, rowOf});
      plan.setTensor(0, kernel, {param.data(), nullptr, nullptr, {sum.data()}, length, false}, columns);
      plan.setGrad(0, grad.data());
      plan.step();
      CHECK(memcmp(param.data(), expected.data(), length * sizeof(float)) == 0);
      CHECK(memcmp(sum.data(), expectedSum.data(), count * sizeof(float)) == 0 && sum[0] > 1);
    });
  }
}
