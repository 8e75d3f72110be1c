// The thread pool: every task runs once, from one or several callers, and after the threads slept or were joined.
#include "../engine/parallel.h"

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "environment.h"

namespace {
/// Whether `run` calls each of `count` tasks once.
bool eachOnce(size_t count, size_t threads) {
  std::vector<int> done(count, 0);
  parallel::run(
      count, threads, [](void* context, size_t i) { ++(*static_cast<std::vector<int>*>(context))[i]; }, &done);
  for (int times : done) {
    if (times != 1) return false;
  }
  return true;
}

/// The number of threads that take part in twelve tasks of 2 ms.
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

/// Whether more than one thread takes part. On a busy machine the others may come too late in one round.
bool takesSeveral(size_t threads) {
  for (int round = 0; round < 100; ++round) {
    if (threadsOf(threads) > 1) return true;
  }
  return false;
}
}  // namespace

TEST("parallel: each task runs once, for any count and number of threads") {
  for (size_t threads : {1, 2, 3, 8}) {
    const Environment environment(threads);
    for (size_t count : {0, 1, 2, 7, 100, 1000}) {
      for (int round = 0; round < 20; ++round) CHECK(eachOnce(count, threads));
    }
  }
}

TEST("parallel: no more threads take part than requested, even if the pool has more") {
  const Environment environment(8);
  CHECK(takesSeveral(4));
  for (size_t threads : {2, 1, 3}) {
    for (int round = 0; round < 3; ++round) CHECK(threadsOf(threads) <= threads);
    if (threads > 1) CHECK(takesSeveral(threads));
  }
  CHECK_EQUAL(threadsOf(1), 1);
  CHECK_EQUAL(threadsOf(0), 1);
}

TEST("parallel: each thread runs a contiguous range, and a thread that is held up loses what is left of it") {
  const Environment environment(2);
  constexpr size_t kCount = 40;
  for (int round = 0; round < 10; ++round) {
    const std::thread::id caller = std::this_thread::get_id();
    std::vector<std::thread::id> ran(kCount);
    std::atomic<size_t> ended{0};
    std::atomic<bool> isHeldUp{false};
    const auto task = [&](size_t i) {
      ran[i] = std::this_thread::get_id();
      if (ran[i] == caller) std::this_thread::sleep_for(std::chrono::microseconds(50));
      // The helper is held up in its first task until all others have ended.
      if (ran[i] != caller && !isHeldUp.exchange(true)) {
        while (ended < kCount - 1) std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
      ++ended;
    };
    parallel::forEach(kCount, 2, task);
    for (size_t i = 0; i < kCount / 2; ++i) CHECK(ran[i] == caller);
    size_t ofHelper = 0;
    for (const std::thread::id& thread : ran) ofHelper += thread != caller;
    CHECK(ofHelper <= 1);
  }
}

TEST("parallel: threads returns the value of setThreads") {
  for (size_t threads : {1, 5}) {
    parallel::setThreads(threads, true);
    CHECK_EQUAL(parallel::threads(), threads);
  }
}

TEST("parallel: sleeping threads wake up") {
  const Environment environment(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(round * 20));
    CHECK(eachOnce(64, 3));
  }
}

TEST("parallel: several concurrent callers, each with its own environment") {
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
  CHECK_EQUAL(wrong.load(), 0);
}
