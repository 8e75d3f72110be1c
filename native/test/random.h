#pragma once
#include <math.h>
#include <stdint.h>

#include <random>

#include "buffer.h"

enum class Values { kOrdinary, kPositive, kAny };

/// Random floats, the same on every machine: only the bits of the generator are used, no distribution of the STL.
class Random {
 public:
  explicit Random(uint32_t seed) : bits_(seed) {}

  /// In (0.05, 0.95).
  float fraction() { return 0.05f + 0.9f * unit(); }

  void fill(Buffer* buffer, Values values) {
    for (size_t i = 0; i < buffer->length(); ++i) buffer->set(i, next(values));
  }

 private:
  float unit() { return static_cast<float>(bits_() >> 8) * 0x1p-24f; }

  float next(Values values) {
    static const float special[] = {
        0.0f,   -0.0f,    0x1p-149f, -0x1p-149f, 0x1.8p-127f, 0x1.fffffep127f, -0x1.fffffep127f,
        1e-20f, INFINITY, -INFINITY, NAN};
    if (values == Values::kAny && bits_() % 4 == 0) return special[bits_() % (sizeof special / sizeof *special)];
    const float magnitude = ldexpf(1 + unit(), static_cast<int>(bits_() % 24) - 16);
    return values != Values::kPositive && bits_() % 2 == 0 ? -magnitude : magnitude;
  }

  std::mt19937 bits_;
};
