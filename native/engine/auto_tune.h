#pragma once
#include <stddef.h>

/// Seconds of a steady clock, for AutoTune::record.
double seconds();

/// Finds the fastest number of threads for the steps of a plan by measuring. It depends on the size of the tensors, on
/// whether the threads are awake, and on other work of the machine. The search starts with the number that should be
/// best on an idle machine. Most steps use the best number so far; now and then a trial of a few steps uses the next
/// larger or smaller one.
class AutoTune {
 public:
  /// Returns the number of threads for the next step, at most `maxThreads`. Starts again if `maxThreads` has changed:
  /// with at most `first` threads.
  size_t choose(size_t maxThreads, size_t first);
  /// Records the time of that step, divided by the floats that it read.
  void record(double secondsPerFloat);

 private:
  static constexpr size_t kLevels = 12;
  /// The cost of a step at one level: the usual cost, and the average excess of stalls, which are rare and long.
  struct Cost {
    double usual = 0, excess = 0;
    size_t samples = 0;
    double mean() const { return usual + excess; }
    void add(double cost);
  };
  size_t threadsAt(size_t level) const;
  size_t levels() const;
  void startTrial();
  void endTrial(bool isSlower);

  size_t maxThreads_ = 0;
  Cost costs_[kLevels];  ///< of 1, 2, 4, … threads; the last level is maxThreads_
  size_t best_ = 0;      ///< level
  size_t warmup_ = 0;    ///< steps left that are not recorded
  size_t interval_ = 0;  ///< steps between two trials
  size_t untilTrial_ = 0;
  size_t trial_ = 0;       ///< level of the current trial
  size_t trialSteps_ = 0;  ///< steps left in the current trial; 0 if there is none
  bool up_ = false;        ///< whether the last trial used more threads than the best level
};
