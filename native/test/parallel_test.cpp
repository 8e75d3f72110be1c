// The thread pool: each piece of work once, from several callers, asleep and awake, ended and started again.
#include "../parallel.h"

#include <math.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "../dispatch.h"
#include "../plan.h"
#include "check.h"

namespace {
/// Whether `run` did each of `count` pieces once.
bool eachOnce(size_t count) {
  std::vector<int> done(count, 0);
  parallel::run(
      count, [](void* context, size_t i) { ++(*static_cast<std::vector<int>*>(context))[i]; }, &done);
  for (int times : done) {
    if (times != 1) return false;
  }
  return true;
}

struct Environment {
  explicit Environment(size_t threads) {
    parallel::retain();
    parallel::setThreads(threads);
  }
  ~Environment() { parallel::release(); }
};
}  // namespace

TEST("each piece is done once, for any count and number of threads") {
  for (size_t threads : {1, 2, 3, 8}) {
    const Environment environment(threads);
    for (size_t count : {0, 1, 2, 7, 100, 1000}) {
      for (int round = 0; round < 20; ++round) CHECK(eachOnce(count));
    }
  }
}

TEST("more than one thread takes part, if more than one is asked for") {
  for (size_t threads : {1, 3}) {
    const Environment environment(threads);
    std::vector<std::thread::id> ids(12);
    parallel::run(
        ids.size(),
        [](void* context, size_t i) {
          (*static_cast<std::vector<std::thread::id>*>(context))[i] = std::this_thread::get_id();
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        },
        &ids);
    CHECK((std::set<std::thread::id>(ids.begin(), ids.end()).size() > 1) == (threads > 1));
  }
}

TEST("threads pay from 750 000 parameters with Adam, which reads 4 floats each, and never with one thread") {
  parallel::setThreads(1);
  CHECK(!parallel::pays(3000000));
  parallel::setThreads(2);
  CHECK(parallel::pays(4 * 750000) && !parallel::pays(4 * 749999));
}

TEST("threads that fell asleep wake again") {
  const Environment environment(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(round * 20));
    CHECK(eachOnce(64));
  }
}

TEST("several callers at once, each with its own environment") {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int life = 0; life < 5; ++life) {
        const Environment environment(3);
        for (int round = 0; round < 50; ++round) wrong += !eachOnce(50);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST("a plan over many segments gives the same bits for any number of threads") {
  const KernelSet* sets[kMaxSets];
  available(sets, kMaxSets);
  const size_t lengths[] = {1000003, 5, 0, 16384, 70001};
  constexpr size_t kTensors = sizeof lengths / sizeof *lengths;
  const Kernel* adam = nullptr;
  for (size_t k = 0; k < sets[0]->count; ++k) {
    if (strcmp(sets[0]->kernels[k].name, "adam") == 0) adam = &sets[0]->kernels[k];
  }
  std::vector<float> expected;
  double expectedNorm = 0;
  for (size_t threads : {1, 2, 3, 8}) {
    const Environment environment(threads);
    std::vector<std::vector<float>> memory;
    Control control = {0.5, 1, 1, 1, 1, 0, 0};
    float row[kPassFloats + 7] = {1, INFINITY, 0.01f, 1, 0.1f, 0, 0.9f, 0.1f, 0.999f, 0.001f, 0.01f, 1, 1e-8f};
    int32_t rowOf[kTensors] = {};
    Plan plan(*sets[0], kTensors, &control, row, kPassFloats + 7, rowOf);
    for (size_t t = 0; t < kTensors; ++t) {
      for (int i = 0; i < 5; ++i) memory.emplace_back(lengths[t] + 1, 0.0f);
    }
    for (size_t t = 0; t < kTensors; ++t) {
      std::vector<float>* of = &memory[t * 5];
      plan.setTensor(t, adam, {of[0].data(), nullptr, of[4].data(), {of[2].data(), of[3].data()}, lengths[t], false});
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
  }
}
