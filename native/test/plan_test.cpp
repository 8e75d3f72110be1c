// Plan::step: norm, clipping, skipping, zeroing, and which tensors take part.
#include "../plan.h"

#include <math.h>
#include <string.h>

#include "../dispatch.h"
#include "check.h"

namespace {
const Kernel* sgdOf(const KernelSet& set) {
  for (size_t k = 0; k < set.count; ++k) {
    if (strcmp(set.kernels[k].name, "sgd") == 0) return &set.kernels[k];
  }
  return nullptr;
}

/// Two tensors under SGD at lr 1: params 0, gradients (3, 0) and (4), a row each. The norm is 5.
struct Fixture {
  explicit Fixture(const KernelSet& set) : plan(set, 2, &control, rows, kStride, rowOf) {
    plan.setTensor(0, sgdOf(set), {first, nullptr, nullptr, {}, 2, false});
    plan.setTensor(1, sgdOf(set), {second, nullptr, nullptr, {}, 1, false});
    plan.setGrad(0, firstGrad);
    plan.setGrad(1, secondGrad);
  }

  static constexpr size_t kStride = kPassFloats + 1;
  Control control = {1, INFINITY, 0, 0, 0, -1, -1};
  float rows[2 * kStride] = {1, INFINITY, 0, 1, 0, 0, 1, 1, INFINITY, 0, 1, 0, 0, 1};
  int32_t rowOf[2] = {0, 1};
  float first[2] = {}, second[1] = {};
  float firstGrad[2] = {3, 0}, secondGrad[1] = {4};
  Plan plan;
};

template <class F>
void forEachSet(F check) {
  const KernelSet* sets[kMaxSets];
  const size_t count = available(sets, kMaxSets);
  for (size_t s = 0; s < count; ++s) {
    Fixture fixture(*sets[s]);
    check(fixture);
  }
}
}  // namespace

TEST("a step updates all tensors and measures nothing unasked") {
  forEachSet([](Fixture& f) {
    f.plan.step();
    CHECK(f.control.applied == 1 && f.control.gradNorm == -1);
    CHECK(f.first[0] == -3 && f.first[1] == 0 && f.second[0] == -4);
    CHECK(f.firstGrad[0] == 3 && f.secondGrad[0] == 4);
  });
}

TEST("the norm is that of the scaled gradients") {
  forEachSet([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.gradScale = -2;
    f.plan.step();
    CHECK(f.control.gradNorm == 10);
    CHECK(f.first[0] == 6 && f.second[0] == 8);
  });
}

TEST("clipping scales down to the maximal norm, and never up") {
  forEachSet([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.maxNorm = 1;
    f.plan.step();
    CHECK(f.control.gradNorm == 5);
    const float scale = static_cast<float>(1 / (5 + 1e-6));
    CHECK(f.first[0] == -(scale * 3) && f.second[0] == -(scale * 4));
    f.control.maxNorm = 100;
    f.first[0] = 0;
    f.plan.step();
    CHECK(f.first[0] == -3);
  });
}

TEST("a row's own gradScale joins the step's: maximize") {
  forEachSet([](Fixture& f) {
    f.rows[Fixture::kStride] = -1;
    f.control.gradScale = 2;
    f.plan.step();
    CHECK(f.first[0] == -6 && f.second[0] == 8);
  });
}

TEST("a tensor without a row takes no part: not in the norm, the update, the zeroing") {
  forEachSet([](Fixture& f) {
    f.rowOf[0] = -1;
    f.firstGrad[0] = NAN;
    f.control.measureNorm = f.control.skipNonFinite = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.control.applied == 1 && f.control.gradNorm == 4);
    CHECK(f.first[0] == 0 && f.second[0] == -4);
    CHECK(isnan(f.firstGrad[0]) && f.secondGrad[0] == 0);
  });
}

TEST("a gradient that is not finite skips the step, which still zeroes gradients if asked") {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    for (double zeroGrads : {0.0, 1.0}) {
      forEachSet([=](Fixture& f) {
        f.secondGrad[0] = bad;
        f.control.measureNorm = f.control.skipNonFinite = 1;
        f.control.zeroGrads = zeroGrads;
        f.plan.step();
        CHECK(f.control.applied == 0 && !isfinite(f.control.gradNorm));
        CHECK(f.first[0] == 0 && f.second[0] == 0);
        CHECK(f.firstGrad[0] == (zeroGrads != 0 ? 0 : 3));
        CHECK(zeroGrads != 0 ? f.secondGrad[0] == 0 : !isfinite(f.secondGrad[0]));
      });
    }
  }
}

TEST("without skipNonFinite, a NaN reaches the params, clipped or not") {
  forEachSet([](Fixture& f) {
    f.secondGrad[0] = NAN;
    f.control.measureNorm = 1;
    f.control.maxNorm = 1;
    f.plan.step();
    CHECK(f.control.applied == 1 && isnan(f.control.gradNorm));
    CHECK(isnan(f.first[0]) && isnan(f.second[0]));
  });
}

TEST("zeroGrads zeroes in the step") {
  forEachSet([](Fixture& f) {
    f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.first[0] == -3 && f.firstGrad[0] == 0 && f.secondGrad[0] == 0);
  });
}

TEST("an empty tensor is fine") {
  forEachSet([](Fixture& f) {
    f.plan.setTensor(0, sgdOf(f.plan.set()), {});
    f.control.measureNorm = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.control.gradNorm == 4 && f.second[0] == -4);
  });
}
