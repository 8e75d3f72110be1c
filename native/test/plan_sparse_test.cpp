// Plan::step with the gradients of some rows: the others and their state stay as they are.
#include <math.h>

#include "buffer.h"
#include "check.h"
#include "control.h"
#include "random.h"
#include "spy.h"

namespace {
/// A table of 4 rows of 2, all 0, and a dense tensor of 1, under SGD at lr 1.
struct Fixture {
  explicit Fixture(const KernelSet& set)
      : sgd(kernelNamed(set, "sgd")), plan(set, 2, {&control, rows, kStride, rowOf}) {
    plan.setTensor(0, sgd, {table, nullptr, nullptr, {}, 8, false}, 0);
    plan.setTensor(1, sgd, {other, nullptr, nullptr, {}, 1, false}, 0);
    plan.setSparseGrad(0, {names, 3, values, 2});
    plan.setGrad(1, otherGrad);
  }

  /// Whether the table holds these rows, one number each for both columns.
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
  float rows[2 * kStride] = {1, INFINITY, 0, 1, 0, 0, 1, 1, INFINITY, 0, 1, 0, 0, 1};
  int32_t rowOf[2] = {0, 1};
  float table[8] = {}, other[1] = {};
  // Row 2 twice: together (4, 4). The squares of what is left: 2 * (16 + 4) + 81 = 121.
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

TEST("rows: those that are named change, once each, by the sum of their gradients") {
  forEachFixture([](Fixture& f) {
    f.plan.step();
    CHECK(f.control.applied == 1 && f.control.badTensor == -1 && f.control.gradNorm == kUnwritten);
    CHECK(f.holds(2, 0, -4, 0) && f.other[0] == -9);
    CHECK(f.holdsValues(1, -2, 3));
    f.plan.step();
    CHECK(f.holds(4, 0, -8, 0));
  });
}

TEST("rows: decay is for those that are named, l2 as well as keep") {
  for (size_t decay : {2, 3}) {
    forEachFixture([=](Fixture& f) {
      for (float& w : f.table) w = 8;
      f.rows[decay] = 0.5f;
      f.plan.step();
      // Both shrink 8 to 4 before the update.
      CHECK(f.holds(6, 8, 0, 8));
    });
  }
}

TEST("rows: the norm is that of the sums, and clips") {
  forEachFixture([](Fixture& f) {
    f.control.measureNorm = 1;
    f.control.gradScale = 0.5;
    f.plan.step();
    CHECK(f.control.gradNorm == 5.5);
    CHECK(f.holds(1, 0, -2, 0));
    f.control.gradScale = 1;
    f.control.maxNorm = 1;
    for (float& w : f.table) w = 0;
    f.plan.step();
    CHECK(f.control.gradNorm == 11);
    const float scale = static_cast<float>(1 / (11 + 1e-6));
    CHECK(f.holds(scale * 2, 0, scale * -4, 0));
  });
}

TEST("rows: one that the tensor lacks refuses the step, and nothing has changed") {
  for (uint32_t bad : {4u, 0x80000000u, 0xffffffffu}) {
    for (size_t at = 0; at < 3; ++at) {
      forEachFixture([=](Fixture& f) {
        f.names[at] = bad;
        f.control.zeroGrads = f.control.measureNorm = 1;
        f.plan.step();
        CHECK(f.control.badTensor == 0 && f.control.badRow == static_cast<double>(at));
        CHECK(f.holds(0, 0, 0, 0) && f.other[0] == 0 && f.holdsValues(1, -2, 3) && f.otherGrad[0] == 9);
        CHECK(f.control.gradNorm == kUnwritten && f.control.applied == kUnwritten);
        f.names[at] = 1;
        f.plan.step();
        CHECK(f.control.badTensor == -1 && f.control.applied == 1 && f.other[0] == -9 && f.table[2] != 0);
      });
    }
  }
}

TEST("rows: of a tensor that takes no part, nobody asks whether they are there") {
  forEachFixture([](Fixture& f) {
    f.rowOf[0] = -1;
    f.names[1] = 77;
    f.values[0] = NAN;
    f.control.measureNorm = f.control.skipNonFinite = f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.control.applied == 1 && f.control.badTensor == -1 && f.control.gradNorm == 9);
    CHECK(f.holds(0, 0, 0, 0) && f.other[0] == -9);
    CHECK(isnan(f.values[0]) && f.values[2] == -2);
  });
}

TEST("rows: what is not finite skips the step, also where only the sum is") {
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
        CHECK(f.control.applied == 0 && !isfinite(f.control.gradNorm));
        CHECK(f.holds(0, 0, 0, 0) && f.other[0] == 0);
        if (zeroGrads != 0) {
          CHECK(f.holdsValues(0, 0, 0) && f.otherGrad[0] == 0);
        } else {
          CHECK(f.values[0] == 1 && f.values[2] == -2 && f.otherGrad[0] == 9);
        }
      });
    }
  }
}

TEST("rows: numbers that are too large alone and not together are no reason to skip") {
  forEachFixture([](Fixture& f) {
    f.values[1] = 3e38f, f.values[5] = -3e38f;
    f.control.measureNorm = f.control.skipNonFinite = 1;
    f.plan.step();
    CHECK(f.control.applied == 1 && f.table[4] == -4 && f.table[5] == 0);
  });
}

TEST("rows: zeroGrads zeroes the values, of sums too, and no row that is not named") {
  forEachFixture([](Fixture& f) {
    f.control.zeroGrads = 1;
    f.plan.step();
    CHECK(f.holds(2, 0, -4, 0) && f.holdsValues(0, 0, 0) && f.otherGrad[0] == 0);
    for (float value : f.values) CHECK(!signbit(value));
  });
}

TEST("rows: the ema starts as a copy of the whole param, and follows in the named rows alone") {
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
    for (size_t i = 0; i < 8; ++i) CHECK(ema[i] == first[i / 2]);
    f.rows[5] = 0;
    f.table[2] = f.table[3] = 0;
    f.plan.step();
    CHECK(f.holds(12, 0, 0, 8));
    const float second[] = {10.5f, 8, 3, 8};
    for (size_t i = 0; i < 8; ++i) CHECK(ema[i] == second[i / 2]);
    // No rows at all are an update too.
    f.rows[5] = 1;
    f.plan.setSparseGrad(0, {nullptr, 0, nullptr, 0});
    f.plan.step();
    for (size_t i = 0; i < 8; ++i) CHECK(ema[i] == f.table[i]);
  });
}

TEST("rows: a step that is skipped or refused starts no ema") {
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
      for (float e : ema) CHECK(e == 5);
    });
  }
}

TEST("rows: of some, of none, dense, and not in the step, in any order") {
  forEachFixture([](Fixture& f) {
    float dense[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    f.control.measureNorm = 1;
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK(f.holds(-1, -1, -1, -1) && f.control.gradNorm == sqrt(8 + 81));
    f.plan.setSparseGrad(0, {f.names, 3, f.values, 2});
    f.plan.step();
    CHECK(f.holds(1, -1, -5, -1) && f.control.gradNorm == 11);
    f.rowOf[0] = -1;
    f.plan.step();
    CHECK(f.holds(1, -1, -5, -1) && f.control.gradNorm == 9);
    f.rowOf[0] = 0;
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK(f.holds(0, -2, -6, -2) && f.control.gradNorm == sqrt(8 + 81));
    f.plan.setSparseGrad(0, {nullptr, 0, nullptr, 0});
    f.plan.step();
    CHECK(f.holds(0, -2, -6, -2) && f.control.gradNorm == 9);
    // Four rows of two are eight of one.
    uint32_t eight[] = {7, 0};
    float ones[] = {1, 1};
    f.plan.setSparseGrad(0, {eight, 2, ones, 1});
    f.plan.step();
    CHECK(f.table[7] == -3 && f.table[6] == -2 && f.table[0] == -1 && f.table[1] == 0);
    // A tensor that is set anew has none.
    f.plan.setTensor(0, f.sgd, {f.table, nullptr, nullptr, {}, 8, false}, 0);
    f.plan.setGrad(0, dense);
    f.plan.step();
    CHECK(f.table[7] == -4 && f.table[1] == -1);
  });
}

TEST("rows: a plan tells all memory that a step touches") {
  forEachFixture([](Fixture& f) {
    std::vector<const void*> seen;
    f.plan.forEachPointer([&](const void* memory) { seen.push_back(memory); });
    for (const void* memory : {static_cast<const void*>(f.table), static_cast<const void*>(f.values),
                               static_cast<const void*>(f.names), static_cast<const void*>(f.otherGrad)}) {
      bool isSeen = false;
      for (const void* s : seen) isSeen = isSeen || s == memory;
      CHECK(isSeen);
    }
  });
}

namespace {
/// What several steps over large tables leave behind: their memory, and the norms.
struct Outcome {
  std::vector<float> memory;
  double norms[3];
  size_t threads;
  bool operator==(const Outcome& other) const {
    return memory.size() == other.memory.size() && memcmp(norms, other.norms, sizeof norms) == 0 &&
           memcmp(memory.data(), other.memory.data(), memory.size() * sizeof(float)) == 0;
  }
};

/// Two tables and a dense tensor under a kernel; rows of both tables are named many times over.
Outcome stepsOf(const char* kernel, size_t constants, size_t threads) {
  constexpr size_t kRows = 3000, kNames = 4000, kDense = 100003;
  const size_t columns[] = {64, 7};
  const Environment environment(threads);
  Spy spy(widestSet(), kernel);
  Control control = idle();
  control.measureNorm = control.zeroGrads = 1;
  control.maxNorm = 10;
  const size_t stride = kPassFloats + constants;
  std::vector<float> row = {1, INFINITY, 0.01f, 1, 0.1f, 0};
  row.insert(row.end(), {0.9f, 0.1f, 0.999f, 0.001f, 0.01f, 1, 1e-8f});
  int32_t rowOf[3] = {};
  Plan plan(spy.set(), 3, {&control, row.data(), stride, rowOf});
  std::vector<std::vector<float>> memory;
  const size_t lengths[] = {kRows * columns[0], kRows * columns[1], kDense};
  for (size_t length : lengths) {
    std::vector<float> param(length);
    for (size_t i = 0; i < length; ++i) param[i] = sinf(static_cast<float>(i));
    memory.push_back(param);
    for (int state = 0; state < 3; ++state) memory.emplace_back(length, 0.0f);
  }
  for (size_t t = 0; t < 3; ++t) {
    std::vector<float>* of = &memory[4 * t];
    const Span span = {of[0].data(), nullptr, of[1].data(), {of[2].data(), of[3].data()}, lengths[t], false};
    plan.setTensor(t, spy.kernel(), span, t < 2 ? columns[t] : kDense);
  }
  Outcome outcome = {};
  for (int step = 0; step < 3; ++step) {
    std::vector<uint32_t> names[2];
    std::vector<float> values[2], dense(kDense);
    for (size_t t = 0; t < 2; ++t) {
      Random random(static_cast<uint32_t>(step * 2 + t));
      for (size_t i = 0; i < kNames; ++i) names[t].push_back(static_cast<uint32_t>(random.fraction() * kRows));
      for (size_t i = 0; i < kNames * columns[t]; ++i) values[t].push_back(random.fraction() - 0.5f);
      plan.setSparseGrad(t, {names[t].data(), kNames, values[t].data(), columns[t]});
    }
    for (size_t i = 0; i < kDense; ++i) dense[i] = cosf(static_cast<float>(i + step));
    plan.setGrad(2, dense.data());
    plan.step();
    CHECK(control.applied == 1 && control.gradNorm > 10);
    outcome.norms[step] = control.gradNorm;
    for (const std::vector<float>& array : values)
      outcome.memory.insert(outcome.memory.end(), array.begin(), array.end());
    outcome.memory.insert(outcome.memory.end(), dense.begin(), dense.end());
  }
  for (const std::vector<float>& array : memory)
    outcome.memory.insert(outcome.memory.end(), array.begin(), array.end());
  outcome.threads = spy.threads();
  return outcome;
}
}  // namespace

TEST("rows: the same bits for any number of threads, which do take part") {
  struct Case {
    const char* kernel;
    size_t constants;
  };
  for (const Case& c : {Case{"adam", 7}, Case{"adagrad-row-wise", 2}}) {
    const Outcome expected = stepsOf(c.kernel, c.constants, 1);
    CHECK(expected.threads == 1);
    for (size_t threads : {2, 3, 8}) {
      const Outcome actual = stepsOf(c.kernel, c.constants, threads);
      CHECK(actual == expected);
      CHECK(actual.threads > 1 && actual.threads <= threads);
    }
  }
}
