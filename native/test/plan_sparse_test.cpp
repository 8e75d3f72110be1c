// Plan::step with sparse gradients: rows without a gradient, and their state, do not change.
#include <math.h>

#include <vector>

#include "check.h"
#include "control.h"
#include "sets.h"

namespace {
/// A table of 4 rows of 2, all 0, and a dense tensor of 1, with SGD and lr 1.
struct Fixture {
  explicit Fixture(const KernelSet& set)
      : sgd(kernelNamed(set, "sgd")), plan(set, 2, {&control, rows, kStride, rowOf}) {
    plan.setTensor(0, sgd, {table, nullptr, nullptr, {}, 8, false}, 0);
    plan.setTensor(1, sgd, {other, nullptr, nullptr, {}, 1, false}, 0);
    plan.setSparseGrad(0, {names, 3, values, 2});
    plan.setGrad(1, otherGrad);
  }

  /// Whether the rows of the table are a, b, c and d in both columns.
  bool holds(float a, float b, float c, float d) const {
    const float expected[] = {a, b, c, d};
    for (size_t i = 0; i < 8; ++i) {
      if (table[i] != expected[i / 2]) return false;
    }
    return true;
  }

  bool holdsValues(float a, float b, float c) const {
    const float expected[] = {a, b, c};
    for (size_t i = 0; i < 6; ++i) {
      if (values[i] != expected[i / 2]) return false;
    }
    return true;
  }

  static constexpr size_t kStride = kPassFloats + 1;
  const Kernel* sgd;
  Control control = idle();
  float rows[2 * kStride] = {1, INFINITY, 0, 1, 0, 0, 0, 1, 1, INFINITY, 0, 1, 0, 0, 0, 1};
  int32_t rowOf[2] = {0, 1};
  float table[8] = {}, other[1] = {};
  // Row 2 is repeated; its sum is (4, 4). The sum of all squares is 2 * (16 + 4) + 81 = 121.
  uint32_t names[3] = {2, 0, 2};
  float values[6] = {1, 1, -2, -2, 3, 3}, otherGrad[1] = {9};
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

TEST("sparse plan: each row in the gradient is updated once, by the sum of its gradients") {
  forEachFixture([](Fixture& f) {
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK_EQUAL(f.control.fault, kNoFault);
    CHECK_EQUAL(f.control.gradNorm, kUnwritten);
    CHECK(f.holds(2, 0, -4, 0));
    CHECK_EQUAL(f.other[0], -9);
    CHECK(f.holdsValues(1, -2, 3));
    f.plan.step();
    CHECK(f.holds(4, 0, -8, 0));
  });
}

TEST("sparse plan: only rows in the gradient decay, by l2 and by decayFactor") {
  for (size_t decay : {2, 3}) {
    forEachFixture([=](Fixture& f) {
      for (float& w : f.table) w = 8;
      f.rows[decay] = 0.5f;
      f.plan.step();
      // Both change 8 to 4 before the update.
      CHECK(f.holds(6, 8, 0, 8));
    });
  }
}

TEST("sparse plan: the norm is that of the sums, and clips") {
  forEachFixture([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.gradScale = 0.5;
    f.plan.step();
    CHECK_EQUAL(f.control.gradNorm, 5.5);
    CHECK(f.holds(1, 0, -2, 0));
    f.control.gradScale = 1;
    f.control.maxNorm = 1;
    for (float& w : f.table) w = 0;
    f.plan.step();
    CHECK_EQUAL(f.control.gradNorm, 11);
    const float scale = static_cast<float>(1 / (11 + 1e-6));
    CHECK(f.holds(scale * 2, 0, scale * -4, 0));
  });
}

TEST("sparse plan: a row out of range rejects the step, and nothing changes") {
  for (uint32_t bad : {4u, 0x80000000u, 0xffffffffu}) {
    for (size_t at = 0; at < 3; ++at) {
      forEachFixture([=](Fixture& f) {
        f.names[at] = bad;
        f.control.zeroGrads = f.control.measureNorm = 1;
        f.plan.step();
        CHECK_EQUAL(f.control.fault, kBadRow);
        CHECK_EQUAL(f.control.faultTensor, 0);
        CHECK_EQUAL(f.control.faultDetail, static_cast<double>(at));
        CHECK(f.holds(0, 0, 0, 0));
        CHECK_EQUAL(f.other[0], 0);
        CHECK(f.holdsValues(1, -2, 3));
        CHECK_EQUAL(f.otherGrad[0], 9);
        CHECK_EQUAL(f.control.gradNorm, kUnwritten);
        CHECK_EQUAL(f.control.applied, kUnwritten);
        f.names[at] = 1;
        f.plan.step();
        CHECK_EQUAL(f.control.fault, kNoFault);
        CHECK_EQUAL(f.control.applied, 1);
        CHECK_EQUAL(f.other[0], -9);
        CHECK(f.table[2] != 0);
      });
    }
  }
}

TEST("sparse plan: the rows of a tensor that takes no part are not checked") {
  forEachFixture([](Fixture& f) {
    f.rowOf[0] = -1;
    f.names[1] = 77;
    f.values[0] = NAN;
    f.control.measureNorm = f.control.skipNonFinite = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK_EQUAL(f.control.fault, kNoFault);
    CHECK_EQUAL(f.control.gradNorm, 9);
    CHECK(f.holds(0, 0, 0, 0));
    CHECK_EQUAL(f.other[0], -9);
    CHECK(isnan(f.values[0]));
    CHECK_EQUAL(f.values[2], -2);
  });
}

TEST("sparse plan: a non-finite value skips the step, also if only a sum is non-finite") {
  struct Case {
    float first, second;
  };
  for (const Case& c : {Case{NAN, 1}, Case{1, -INFINITY}, Case{3e38f, 3e38f}, Case{INFINITY, -INFINITY}}) {
    for (double zeroGrads : {0.0, 1.0}) {
      forEachFixture([=](Fixture& f) {
        f.values[1] = c.first, f.values[5] = c.second;
        f.control.measureNorm = f.control.skipNonFinite = 1;
        f.control.zeroGrads = zeroGrads;
        f.plan.step();
        CHECK_EQUAL(f.control.applied, 0);
        CHECK(!isfinite(f.control.gradNorm));
        CHECK(f.holds(0, 0, 0, 0));
        CHECK_EQUAL(f.other[0], 0);
        if (zeroGrads != 0) {
          CHECK(f.holdsValues(0, 0, 0));
          CHECK_EQUAL(f.otherGrad[0], 0);
        } else {
          CHECK_EQUAL(f.values[0], 1);
          CHECK_EQUAL(f.values[2], -2);
          CHECK_EQUAL(f.otherGrad[0], 9);
        }
      });
    }
  }
}

TEST("sparse plan: large values with a finite sum do not skip the step") {
  forEachFixture([](Fixture& f) {
    f.values[1] = 3e38f, f.values[5] = -3e38f;
    f.control.measureNorm = f.control.skipNonFinite = 1;
    f.plan.step();
    CHECK_EQUAL(f.control.applied, 1);
    CHECK_EQUAL(f.table[4], -4);
    CHECK_EQUAL(f.table[5], 0);
  });
}

TEST("sparse plan: zeroGrads sets all values to 0, also of repeated rows") {
  forEachFixture([](Fixture& f) {
    f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.holds(2, 0, -4, 0));
    CHECK(f.holdsValues(0, 0, 0));
    CHECK_EQUAL(f.otherGrad[0], 0);
    for (float value : f.values) CHECK(!signbit(value));
  });
}

TEST("sparse plan: the ema starts as a copy of the whole param, and follows only in rows of the gradient") {
  forEachFixture([](Fixture& f) {
    float ema[8];
    for (size_t i = 0; i < 8; ++i) f.table[i] = 8, ema[i] = 100;
    f.plan.setTensor(0, f.sgd, {f.table, nullptr, ema, {}, 8, false}, 0);
    f.plan.setSparseGrad(0, {f.names, 3, f.values, 2});
    f.rows[4] = 0.5f;
    f.rows[5] = 1;
    f.plan.step();
    CHECK(f.holds(10, 8, 4, 8));
    const float first[] = {9, 8, 6, 8};
    for (size_t i = 0; i < 8; ++i) CHECK_EQUAL(ema[i], first[i / 2]);
    f.rows[5] = 0;
    f.table[2] = f.table[3] = 0;
    f.plan.step();
    CHECK(f.holds(12, 0, 0, 8));
    const float second[] = {10.5f, 8, 3, 8};
    for (size_t i = 0; i < 8; ++i) CHECK_EQUAL(ema[i], second[i / 2]);
    // A gradient without rows starts the ema too.
    f.rows[5] = 1;
    f.plan.setSparseGrad(0, {nullptr, 0, nullptr, 0});
    f.plan.step();
    for (size_t i = 0; i < 8; ++i) CHECK_EQUAL(ema[i], f.table[i]);
  });
}

TEST("sparse plan: a skipped or rejected step does not start the ema") {
  for (bool isSkipped : {true, false}) {
    forEachFixture([=](Fixture& f) {
      float ema[8] = {5, 5, 5, 5, 5, 5, 5, 5};
      f.plan.setTensor(0, f.sgd, {f.table, nullptr, ema, {}, 8, false}, 0);
      f.plan.setSparseGrad(0, {f.names, 3, f.values, 2});
      f.rows[5] = 1;
      f.control.measureNorm = f.control.skipNonFinite = 1;
      if (isSkipped) f.values[0] = NAN;
      if (!isSkipped) f.names[2] = 4;
      f.plan.step();
      for (float e : ema) CHECK_EQUAL(e, 5);
    });
  }
}

TEST("sparse plan: a tensor may alternate between sparse, empty, dense and no gradient") {
  forEachFixture([](Fixture& f) {
    float dense[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    f.control.measureNorm = 1;
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK(f.holds(-1, -1, -1, -1));
    CHECK_EQUAL(f.control.gradNorm, sqrt(8 + 81));
    f.plan.setSparseGrad(0, {f.names, 3, f.values, 2});
    f.plan.step();
    CHECK(f.holds(1, -1, -5, -1));
    CHECK_EQUAL(f.control.gradNorm, 11);
    f.rowOf[0] = -1;
    f.plan.step();
    CHECK(f.holds(1, -1, -5, -1));
    CHECK_EQUAL(f.control.gradNorm, 9);
    f.rowOf[0] = 0;
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK(f.holds(0, -2, -6, -2));
    CHECK_EQUAL(f.control.gradNorm, sqrt(8 + 81));
    f.plan.setSparseGrad(0, {nullptr, 0, nullptr, 0});
    f.plan.step();
    CHECK(f.holds(0, -2, -6, -2));
    CHECK_EQUAL(f.control.gradNorm, 9);
    // Four rows of two are also eight rows of one.
    uint32_t eight[] = {7, 0};
    float ones[] = {1, 1};
    f.plan.setSparseGrad(0, {eight, 2, ones, 1});
    f.plan.step();
    CHECK_EQUAL(f.table[7], -3);
    CHECK_EQUAL(f.table[6], -2);
    CHECK_EQUAL(f.table[0], -1);
    CHECK_EQUAL(f.table[1], 0);
    // setTensor removes the sparse gradient.
    f.plan.setTensor(0, f.sgd, {f.table, nullptr, nullptr, {}, 8, false}, 0);
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK_EQUAL(f.table[7], -4);
    CHECK_EQUAL(f.table[1], -1);
  });
}
