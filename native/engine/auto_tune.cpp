#include "auto_tune.h"

#include <chrono>

namespace {
// The first steps touch new memory and start new threads.
constexpr size_t kWarmupSteps = 3;
// The first step of a trial with more threads is not recorded: it has to wake them.
constexpr size_t kTrialSteps = 4;
// A trial ends at a step that costs more than this multiple of the best manner's cost. To go on would cost more than it
// could gain for a long time: a step of a large model takes tens of milliseconds.
constexpr double kSlower = 1.25;
// Steps between two trials. The interval doubles after each trial that failed, up to kLongestInterval. The longest
// interval is kLongestIfMuchSlower if the trial cost more than kMuchSlower times as much as the best
// manner.
constexpr size_t kFirstInterval = 4, kShortestInterval = 16, kLongestInterval = 128, kLongestIfMuchSlower = 1024;
constexpr double kMuchSlower = 1.5;
// A manner becomes the best one if its cost is below this share of the best cost. Noise alone must not change it.
constexpr double kFaster = 0.95;
// Steps of earlier trials that count in a new one. What was measured beside other work, such as a start of the process,
// must not outlive it.
constexpr size_t kRemembered = 2;
// Steps that the usual cost averages over.
constexpr size_t kUsualWindow = 16;
// The excess over this multiple of the usual cost is a stall. Stalls are rare, so they are averaged over more steps.
constexpr double kStall = 3;
constexpr size_t kMinStallWindow = 64, kMaxStallWindow = 1000;
}  // namespace

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void AutoTune::Cost::add(double cost) {
  if (samples < kMaxStallWindow) ++samples;
  const double limit = samples > 4 ? kStall * usual : cost;
  const double clipped = cost < limit ? cost : limit;
  const size_t window = samples < kUsualWindow ? samples : kUsualWindow;
  const size_t stallWindow = samples < kMinStallWindow ? kMinStallWindow : samples;
  usual = usual + (clipped - usual) / static_cast<double>(window);
  excess = excess + (cost - clipped - excess) / static_cast<double>(stallWindow);
}

size_t AutoTune::threadsAt(size_t level) const {
  const size_t threads = size_t{1} << level;
  return threads < maxThreads_ ? threads : maxThreads_;
}

size_t AutoTune::levels() const {
  size_t count = 1;
  while (count < kLevels && threadsAt(count - 1) < maxThreads_) ++count;
  return count;
}

Manner AutoTune::choose(size_t maxThreads, size_t first, bool mayPrefetch) {
  if (maxThreads != maxThreads_) {
    *this = AutoTune();
    maxThreads_ = maxThreads;
    warmup_ = kWarmupSteps;
    for (size_t& steps : interval_) steps = kFirstInterval;
    for (size_t& steps : untilTrial_) steps = kFirstInterval;
    while (best_.level + 1 < levels() && threadsAt(best_.level + 1) <= first) ++best_.level;
  }
  if (!mayPrefetch) {
    if (trial_.prefetch) trialSteps_ = 0;
    best_.prefetch = false;
  }
  mayPrefetch_ = mayPrefetch;
  const Place& place = trialSteps_ > 0 ? trial_ : best_;
  return {threadsAt(place.level), place.prefetch};
}

void AutoTune::record(double secondsPerFloat) {
  if (warmup_ > 0) {
    --warmup_;
    return;
  }
  if (trialSteps_ > 0) {
    const bool wakesThreads = trial_.level > best_.level;
    const bool isRecorded = !wakesThreads || trialSteps_ < kTrialSteps;
    if (isRecorded) costAt(trial_).add(secondsPerFloat);
    const bool isSlower = isRecorded && secondsPerFloat > kSlower * costAt(best_).mean();
    if (--trialSteps_ == 0 || isSlower) endTrial(isSlower);
    return;
  }
  costAt(best_).add(secondsPerFloat);
  for (size_t& steps : untilTrial_) {
    if (steps > 0) --steps;
  }
  if (mayPrefetch_ && untilTrial_[kPrefetch] == 0) return startTrial(kPrefetch);
  if (levels() > 1 && untilTrial_[kThreads] == 0) startTrial(kThreads);
}

void AutoTune::startTrial(Change change) {
  const size_t top = levels() - 1;
  change_ = change;
  trial_ = best_;
  if (change == kPrefetch) {
    trial_.prefetch = !best_.prefetch;
  } else {
    up_ = best_.level == 0 || (best_.level < top && !up_);
    trial_.level = up_ ? best_.level + 1 : best_.level - 1;
  }
  trialSteps_ = kTrialSteps;
  Cost& cost = costAt(trial_);
  if (cost.samples > kRemembered) cost.samples = kRemembered;
}

void AutoTune::endTrial(bool isSlower) {
  trialSteps_ = 0;
  const double ratio = costAt(trial_).mean() / costAt(best_).mean();
  if (!isSlower && ratio < kFaster) {
    best_ = trial_;
    interval_[change_] = kShortestInterval;
  } else {
    const size_t longest = ratio > kMuchSlower ? kLongestIfMuchSlower : kLongestInterval;
    const size_t twice = 2 * interval_[change_];
    interval_[change_] = twice < longest ? twice : longest;
  }
  untilTrial_[change_] = interval_[change_];
}
