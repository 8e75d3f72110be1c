// The thread pool: each piece of work once, from several callers, asleep and awake, ended and started again.
#include "../engine/parallel.h"

#include <math.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "control.h"
#include "spy.h"

namespace {
/// Whether `run` did each of `count` pieces once.
bool eachOnce(size_t count, size_t threads) {
  std::vector<int> done(count, 0);
  parallel::run(
      count, threads, [](void* context, size_t i) { ++(*static_cast<std::vector<int>*>(context))[i]; }, &done);
  for (int times : done) {
    if (times != 1) return false;
  }
  return true;
}

/// How many threads did twelve pieces that take a while.
size_t threadsOf(size_t threads) {
  std::vector<std::thread::id> ids(12);
  parallel::run(
      ids.size(), threads,
      [](void* context, size_t i) {
        (*static_cast<std::vector<std::thread::id>*>(context))[i] = std::this_thread::get_id();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      },
      &ids);
  return std::set<std::thread::id>(ids.begin(), ids.end()).size();
}
}  // namespace

TEST("each piece is done once, for any count and number of threads") {
  for (size_t threads : {1, 2, 3, 8}) {
    const Environment environment(threads);
    for (size_t count : {0, 1, 2, 7, 100, 1000}) {
      for (int round = 0; round < 20; ++round) CHECK(eachOnce(count, threads));
    }
  }
}

TEST("as many threads take part as are asked for, and no more, though the pool has more") {
  const Environment environment(8);
  CHECK(threadsOf(1) == 1);
  CHECK(threadsOf(4) > 1);
  for (size_t threads : {2, 1, 3}) {
    for (int round = 0; round < 3; ++round) {
      const size_t count = threadsOf(threads);
      CHECK(count <= threads && (count > 1) == (threads > 1));
    }
  }
  CHECK(threadsOf(0) == 1);
}

TEST("the limit is what was set, whatever a piece of work takes") {
  for (size_t threads : {1, 5}) {
    parallel::setThreads(threads, true);
    CHECK(parallel::threads() == threads);
  }
}

TEST("threads that fell asleep wake again") {
  const Environment environment(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(round * 20));
    CHECK(eachOnce(64, 3));
  }
}

TEST("several callers at once, each with its own environment") {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int life = 0; life < 5; ++life) {
        const Environment environment(3);
        for (int round = 0; round < 50; ++round) wrong += !eachOnce(50, 1 + round % 4);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST("a plan over many segments gives the same bits for any number of threads, which do take part") {
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
    float row[kPassFloats + 7] = {1, INFINITY, 0.01f, 1, 0.1f, 0, 0.9f, 0.1f, 0.999f, 0.001f, 0.01f, 1, 1e-8f};
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
    CHECK(control.gradNorm == expectedNorm && expectedNorm > 1);
    CHECK(threads == 1 ? spy.threads() == 1 : spy.threads() > 1 && spy.threads() <= threads);
  }
}
