#include "auto_tune.h"

namespace {
// The first steps touch new memory and wake new threads.
constexpr size_t kCold = 3;
// The first step of a trial finds threads asleep, or has just left some awake.
constexpr size_t kTrial = 4;
constexpr size_t kFirst = 4, kShortest = 16, kLongest = 128, kHopeless = 1024;
// Noise alone must not move it.
constexpr double kBetter = 0.95;
constexpr size_t kMemory = 16;
// What is beyond this many times the usual is a stall: of those there are few, so they are averaged over more steps.
constexpr double kStall = 3;
constexpr size_t kStallMemory = 64, kLongestStallMemory = 1000;
}  // namespace

void AutoTune::Cost::add(double seconds) {
  if (samples < kLongestStallMemory) ++samples;
  const double most = samples > 4 ? kStall * usual : seconds;
  const double bulk = seconds < most ? seconds : most;
  usual = usual + (bulk - usual) / static_cast<double>(samples < kMemory ? samples : kMemory);
  excess = excess + (seconds - bulk - excess) / static_cast<double>(samples < kStallMemory ? kStallMemory : samples);
}

size_t AutoTune::threadsAt(size_t level) const {
  const size_t threads = size_t{1} << level;
  return threads < most_ ? threads : most_;
}

size_t AutoTune::levels() const {
  size_t count = 1;
  while (count < kLevels && threadsAt(count - 1) < most_) ++count;
  return count;
}

size_t AutoTune::choose(size_t most) {
  if (most != most_) {
    *this = AutoTune();
    most_ = most;
    cold_ = kCold;
    until_ = interval_ = kFirst;
  }
  return threadsAt(left_ > 0 ? trial_ : best_);
}

void AutoTune::took(double secondsPerFloat) {
  if (cold_ > 0) {
    --cold_;
    return;
  }
  if (left_ > 0) {
    if (left_ < kTrial) costs_[trial_].add(secondsPerFloat);
    if (--left_ == 0) endTrial();
    return;
  }
  costs_[best_].add(secondsPerFloat);
  if (until_ > 0) --until_;
  if (until_ == 0) beginTrial();
}

void AutoTune::beginTrial() {
  const size_t top = levels() - 1;
  up_ = best_ == 0 || (best_ < top && !up_);
  trial_ = up_ ? best_ + 1 : best_ - 1;
  left_ = kTrial;
}

void AutoTune::endTrial() {
  const double ratio = costs_[trial_].mean() / costs_[best_].mean();
  if (ratio < kBetter) {
    best_ = trial_;
    interval_ = kShortest;
  } else {
    const size_t longest = ratio > 1.5 ? kHopeless : kLongest;
    interval_ = interval_ * 2 < longest ? interval_ * 2 : longest;
  }
  until_ = interval_;
}
