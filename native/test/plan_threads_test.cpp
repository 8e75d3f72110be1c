// Plan::step on several threads: the same bits with any number of threads.
#include <math.h>
#include <string.h>

#include <vector>

#include "buffer.h"
#include "check.h"
#include "control.h"
#include "random.h"
#include "spy.h"

TEST("plan threads: many chunks give the same bits with any number of threads, which take part") {
  const size_t lengths[] = {1000003, 5, 0, 16384, 70001};
  constexpr size_t kTensors = sizeof lengths / sizeof *lengths;
  std::vector<float> expected;
  double expectedNorm = 0;
  for (size_t threads : {1, 2, 3, 8}) {
    const Environment environment(threads);
    std::vector<std::vector<float>> memory;
    Spy spy(widestSet(), "adam");
    Control control = idle();
    control.gradScale = 0.5;
    control.maxNorm = control.measureNorm = control.skipNonFinite = control.zeroGrads = 1;
    float row[kPassFloats + 7] = {1, INFINITY, 0.01f, 1, 0.1f, 0, 0, 0.9f, 0.1f, 0.999f, 0.001f, 0.01f, 1, 1e-8f};
    int32_t rowOf[kTensors] = {};
    Plan plan(spy.set(), kTensors, {&control, row, kPassFloats + 7, rowOf});
    for (size_t t = 0; t < kTensors; ++t) {
      for (int i = 0; i < 5; ++i) memory.emplace_back(lengths[t] + 1, 0.0f);
    }
    for (size_t t = 0; t < kTensors; ++t) {
      std::vector<float>* of = &memory[t * 5];
      const Span span = {of[0].data(), nullptr, of[4].data(), {of[2].data(), of[3].data()}, lengths[t], false};
      plan.setTensor(t, spy.kernel(), span, 0);
      plan.setGrad(t, of[1].data());
    }
    for (int step = 0; step < 4; ++step) {
      for (size_t t = 0; t < kTensors; ++t) {
        for (size_t i = 0; i < lengths[t]; ++i) memory[t * 5 + 1][i] = sinf(static_cast<float>(i * 7 + t + step));
      }
      plan.step();
    }
    std::vector<float> all;
    for (const std::vector<float>& array : memory) all.insert(all.end(), array.begin(), array.end());
    if (threads == 1) {
      expected = all;
      expectedNorm = control.gradNorm;
    }
    CHECK(memcmp(all.data(), expected.data(), all.size() * sizeof(float)) == 0);
    CHECK_EQUAL(control.gradNorm, expectedNorm);
    CHECK(expectedNorm > 1);
    CHECK(threads == 1 ? spy.threads() == 1 : spy.threads() > 1 && spy.threads() <= threads);
  }
}

TEST("plan threads: large steps over more than two arrays try prefetches, and no others do") {
  const struct {
    const char* kernel;
    size_t length;
    bool mayPrefetch;
  } cases[] = {{"adam", 1100000, true}, {"adam", 1000000, false}, {"sgd", 3000000, false}};
  const Environment environment(1, false);
  for (const auto& [name, length, mayPrefetch] : cases) {
    for (const bool canPrefetch : {false, true}) {
      KernelSet set = widestSet();
      set.canPrefetch = canPrefetch;
      Spy spy(set, name);
      Control control = idle();
      float row[kPassFloats + 7] = {1, INFINITY, 0, 1, 0, 0, 0};
      int32_t rowOf[] = {0};
      Plan plan(spy.set(), 1, {&control, row, kPassFloats + spy.kernel()->constantCount, rowOf});
      std::vector<std::vector<float>> arrays(4, std::vector<float>(length, 1.0f));
      plan.setTensor(0, spy.kernel(),
                     {arrays[0].data(), nullptr, nullptr, {arrays[1].data(), arrays[2].data()}, length, false}, 0);
      plan.setGrad(0, arrays[3].data());
      for (int step = 0; step < 16; ++step) plan.step();
      CHECK_EQUAL(spy.runs(true) > 0, mayPrefetch && canPrefetch);
      CHECK(spy.runs(false) > 0);
    }
  }
}

namespace {
/// The result of several steps over large tables: all memory, and the norms.
struct Outcome {
  std::vector<float> memory;
  double norms[3];
  size_t threads;
  bool operator==(const Outcome& other) const {
    return memory.size() == other.memory.size() && memcmp(norms, other.norms, sizeof norms) == 0 &&
           memcmp(memory.data(), other.memory.data(), memory.size() * sizeof(float)) == 0;
  }
};

/// Three steps over two tables and a dense tensor. The gradients of both tables repeat many rows.
Outcome stepsOf(const char* kernel, size_t constants, size_t threads) {
  constexpr size_t kRows = 3000, kNames = 4000, kDense = 100003;
  const size_t columns[] = {64, 7};
  const Environment environment(threads);
  Spy spy(widestSet(), kernel);
  Control control = idle();
  control.measureNorm = control.zeroGrads = 1;
  control.maxNorm = 10;
  const size_t stride = kPassFloats + constants;
  std::vector<float> row = {1, INFINITY, 0.01f, 1, 0.1f, 0, 0};
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
    CHECK_EQUAL(control.applied, 1);
    CHECK(control.gradNorm > 10);
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

TEST("plan threads: sparse gradients give the same bits with any number of threads, which take part") {
  struct Case {
    const char* kernel;
    size_t constants;
  };
  for (const Case& c : {Case{"adam", 7}, Case{"adagrad-row-wise", 2}}) {
    const Outcome expected = stepsOf(c.kernel, c.constants, 1);
    CHECK_EQUAL(expected.threads, 1);
    for (size_t threads : {2, 3, 8}) {
      const Outcome actual = stepsOf(c.kernel, c.constants, threads);
      CHECK(actual == expected);
      CHECK(actual.threads > 1 && actual.threads <= threads);
    }
  }
}
