#pragma once
#include <stddef.h>

/// Finds out how many threads do a plan's steps soonest, by measuring: what pays depends on the size, on how awake the
/// threads are and on what else the machine does. It begins with one; most steps use the number that is best so far,
/// and now and then a few try the next larger or smaller one.
class AutoTune {
 public:
  /// How many of `most` threads the next step uses, if it is of a size that may pay at all.
  size_t choose(size_t most);
  /// That step took so many seconds for each float that it read.
  void took(double secondsPerFloat);

 private:
  static constexpr size_t kLevels = 12;
  /// What a level costs: the usual, and what stalls add to it, which come seldom and are long.
  struct Cost {
    double usual = 0, excess = 0;
    size_t samples = 0;
    double mean() const { return usual + excess; }
    void add(double seconds);
  };
  size_t threadsAt(size_t level) const;
  size_t levels() const;
  void beginTrial();
  void endTrial();

  size_t most_ = 0;
  Cost costs_[kLevels];  ///< of 1, 2, 4, … threads; the last level is all
  size_t best_ = 0;
  size_t cold_ = 0;   ///< steps that are not counted
  size_t until_ = 0;  ///< steps until the next trial
  size_t interval_ = 0;
  size_t trial_ = 0;  ///< the level under trial
  size_t left_ = 0;   ///< steps of the trial that are left; 0: none is under way
  bool up_ = false;   ///< whether the last trial was of more threads
};
