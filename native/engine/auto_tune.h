#pragma once
#include <stddef.h>

/// Seconds of a steady clock, for AutoTune::record.
double seconds();

/// How a step runs.
struct Manner {
  size_t threads;
  bool prefetch;  ///< see Span
};

/// Finds the fastest manner for the steps of a plan by measuring. It depends on the size of the tensors, on the CPU and
/// its caches, on whether the threads are awake, and on other work of the machine. The search starts with the number of
/// threads that should be best on an idle machine, and without prefetches. Most steps use the best manner so far; now
/// and then a trial of a few steps uses the next larger or smaller number of threads, or changes whether to prefetch.
class AutoTune {
 public:
  /// Returns the manner of the next step, with at most `maxThreads` threads. Starts again, with at most `first`
  /// threads, if `maxThreads` has changed.
  Manner choose(size_t maxThreads, size_t first, bool mayPrefetch = false);
  /// Records the time of that step, divided by the floats that it read.
  void record(double secondsPerFloat);

 private:
  static constexpr size_t kLevels = 12;
  /// The cost of a step in one manner: the usual cost, and the average excess of stalls, which are rare and long.
  struct Cost {
    double usual = 0, excess = 0;
    size_t samples = 0;
    double mean() const { return usual + excess; }
    void add(double cost);
  };
  /// A manner, with a level in place of the threads.
  struct Place {
    size_t level = 0;
    bool prefetch = false;
  };
  Cost& costAt(const Place& place) { return costs_[place.prefetch][place.level]; }
  size_t threadsAt(size_t level) const;
  size_t levels() const;
  /// What a trial changes. Each has its own time, so that neither keeps the other waiting.
  enum Change { kThreads, kPrefetch };
  void startTrial(Change change);
  void endTrial(bool isSlower);

  size_t maxThreads_ = 0;
  bool mayPrefetch_ = false;
  Cost costs_[2][kLevels];  ///< without and with prefetches, of 1, 2, 4, … threads; the last level is maxThreads_
  Place best_;
  size_t warmup_ = 0;          ///< steps left that are not recorded
  size_t interval_[2] = {};    ///< steps between two trials, by Change
  size_t untilTrial_[2] = {};  ///< steps left until the next one
  Place trial_;                ///< the current trial
  Change change_ = kThreads;   ///< what it changes
  size_t trialSteps_ = 0;      ///< steps left in it; 0 if there is none
  bool up_ = false;            ///< whether the last trial of another number of threads used more than the best manner
};
