#include "parallel.h"

#include <stdint.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <exception>
#include <thread>
#include <vector>

#include "placement.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace parallel {
namespace {
using Clock = std::chrono::steady_clock;
// A step that follows within this time finds the threads awake. A longer spin would take cores from other work.
constexpr std::chrono::microseconds kSpin{50};
// A thread that has not woken after this time is probably queued on a busy core.
constexpr std::chrono::microseconds kWaking{50};
// How often the caller looks whether helpers still work before it yields its core.
constexpr int kSpinsForHelpers = 4096;

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

/// A thread's own part of the tasks: contiguous, so that its walk over memory is one stream for the prefetcher. On
/// cache lines of its own, because every claim writes to it.
struct alignas(128) Range {
  std::atomic<size_t> next{0};
  size_t end = 0;
};
// More threads share the ranges.
constexpr size_t kMaxRanges = 256;

class Pool {
 public:
  void retain() {
    std::lock_guard<std::mutex> lock(owner_);
    ++environments_;
  }

  void release() {
    std::lock_guard<std::mutex> lock(owner_);
    if (--environments_ > 0) return;
    {
      std::lock_guard<std::mutex> sleeping(sleep_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : workers_) thread.join();
    workers_.clear();
    placements_.clear();
    ending_ = false;
  }

  void run(size_t count, size_t threads, void (*task)(void*, size_t), void* context) {
    std::unique_lock<std::mutex> lock(owner_, std::try_to_lock);
    const size_t helpers = (threads < count ? threads : count) - 1;
    if (!lock.owns_lock() || helpers == 0) {
      for (size_t i = 0; i < count; ++i) task(context, i);
      return;
    }
    start(helpers);
    task_ = task;
    context_ = context;
    cut(count, helpers + 1);
    seats_.store(static_cast<int64_t>(helpers), std::memory_order_relaxed);
    const uint64_t job = ++jobs_ * 2 + 1;
    state_.store(job);
    const size_t asleep = sleepers_.load();
    if (asleep > 0) {
      if (waking_.load() <= 0) wakingSince_ = Clock::now();
      const size_t notified = asleep < helpers ? asleep : helpers;
      waking_.store(static_cast<int64_t>(notified));
      // A thread that is about to sleep holds this lock until it waits, so it does not miss the notification.
      { std::lock_guard<std::mutex> sleeping(sleep_); }
      for (size_t i = 0; i < notified; ++i) wake_.notify_one();
    }
    claim(0);
    const bool isLate = seats_.load(std::memory_order_relaxed) > 0;
    // This order misses no thread: here the job is closed before inside_ is read; a worker increments inside_ before it
    // checks that the job is open.
    state_.store(job + 1);
    if (isLate) Placement::separate(placements_, 0);
    for (int spins = 0; inside_.load() > 0; ++spins) {
      if (spins < kSpinsForHelpers) {
        pause();
        continue;
      }
      if (spins == kSpinsForHelpers) Placement::separate(placements_, 0);
      std::this_thread::yield();
    }
  }

 private:
  void start(size_t helpers) {
    while (workers_.size() < helpers) {
      try {
        placements_.emplace_back();
        workers_.emplace_back([this, &placement = placements_.back()] { work(placement); });
      } catch (const std::exception&) {
        if (placements_.size() > workers_.size()) placements_.pop_back();
        return;  // the system has no more threads, or no memory for them: the existing ones and the caller do the work
      }
    }
  }

  /// Gives each thread a range of the tasks.
  void cut(size_t count, size_t threads) {
    rangeCount_ = threads < kMaxRanges ? threads : kMaxRanges;
    for (size_t r = 0; r < rangeCount_; ++r) {
      ranges_[r].next.store(count * r / rangeCount_, std::memory_order_relaxed);
      ranges_[r].end = count * (r + 1) / rangeCount_;
    }
  }

  /// Runs the tasks of a thread's own range, then those that are left of the others: a thread that is late or slow
  /// loses them one by one.
  void claim(size_t seat) {
    for (size_t k = 0; k < rangeCount_; ++k) {
      Range& range = ranges_[(seat + k) % rangeCount_];
      // Reading first keeps the line of a finished range shared.
      while (range.next.load(std::memory_order_relaxed) < range.end) {
        const size_t i = range.next.fetch_add(1);
        if (i < range.end) task_(context_, i);
        if (seat == 0 && waking_.load(std::memory_order_relaxed) > 0) placeWaking();
      }
    }
  }

  /// The caller calls this between tasks, while threads that it has notified have not woken.
  void placeWaking() {
    if (Clock::now() - wakingSince_ < kWaking) return;
    const int64_t waking = waking_.exchange(0);
    if (waking > 0) Placement::separate(placements_, static_cast<size_t>(waking));
  }

  void work(Placement& placement) {
    uint64_t seen = 0;
    for (;;) {
      const uint64_t state = await(seen, placement);
      if (state == 0) return;
      seen = state;
      inside_.fetch_add(1);
      if (state_.load() == state) {
        const int64_t seat = seats_.fetch_sub(1);
        if (seat > 0) claim(static_cast<size_t>(seat));
      }
      inside_.fetch_sub(1);
    }
  }

  bool isNew(uint64_t state, uint64_t seen) const { return state % 2 == 1 && state != seen; }

  /// Waits for the next open job and returns its state, or 0 if the pool ends.
  uint64_t await(uint64_t seen, Placement& placement) {
    placement.arrive();
    const Clock::time_point until = Clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; ++i) {
        const uint64_t state = state_.load();
        if (isNew(state, seen)) return state;
        pause();
      }
    } while (Clock::now() < until);
    std::unique_lock<std::mutex> lock(sleep_);
    sleepers_.fetch_add(1);
    uint64_t state = state_.load();
    while (!ending_ && !isNew(state, seen)) {
      placement.depart();
      wake_.wait(lock);
      placement.arrive();
      waking_.fetch_sub(1);
      state = state_.load();
    }
    sleepers_.fetch_sub(1);
    return ending_ ? 0 : state;
  }

  std::mutex owner_;  ///< held while a job runs or the threads change
  size_t environments_ = 0;
  std::vector<std::thread> workers_;
  std::deque<Placement> placements_;  ///< of these, in their order
  uint64_t jobs_ = 0;

  // The job; written only while inside_ is 0.
  void (*task_)(void*, size_t) = nullptr;
  void* context_ = nullptr;
  size_t rangeCount_ = 0;
  Range ranges_[kMaxRanges];
  std::atomic<int64_t> seats_{0};  ///< number of threads that may still join

  std::atomic<uint64_t> state_{0};  ///< odd: job number state_ / 2 is open
  std::atomic<int> inside_{0};      ///< threads that may touch the job
  std::atomic<size_t> sleepers_{0};
  std::atomic<int64_t> waking_{0};  ///< threads that were notified and have not woken; not positive if there are none
  Clock::time_point wakingSince_;   ///< when the first of them was notified
  std::mutex sleep_;
  std::condition_variable wake_;
  bool ending_ = false;
};

// Never destroyed, because threads of other environments may still use it when the process ends.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

std::atomic<size_t> limit{0};
std::atomic<bool> isAlways{false};
}  // namespace

void retain() { pool().retain(); }
void release() { pool().release(); }
void setThreads(size_t threads, bool always) {
  limit.store(threads, std::memory_order_relaxed);
  isAlways.store(always, std::memory_order_relaxed);
}
bool always() { return isAlways.load(std::memory_order_relaxed); }
size_t threads() { return limit.load(std::memory_order_relaxed); }
void run(size_t count, size_t threads, void (*task)(void*, size_t), void* context) {
  if (count > 0) pool().run(count, threads < 1 ? 1 : threads, task, context);
}

}  // namespace parallel
