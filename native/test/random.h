#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "buffer.h"

enum class Values { kOrdinary, kPositive, kAny };

/// Random floats, the same on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed) {}

  /// In (0.05, 0.95).
  float fraction() { return 0.05f + 0.9f * unit(); }

  void fill(Buffer* buffer, Values values) {
    for (size_t i = 0; i < buffer->length(); ++i) buffer->set(i, next(values));
  }

 private:
  /// SplitMix64, https://prng.di.unimi.it/splitmix64.c. A slow generator takes most of the time on emulated CPUs.
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  float unit() { return static_cast<float>(bits() >> 40) * 0x1p-24f; }

  /// Of magnitudes from 2^-16 to 2^8. All parts of a number come from one draw.
  float next(Values values) {
    static const float special[] = {
        0.0f,   -0.0f,    0x1p-149f, -0x1p-149f, 0x1.8p-127f, 0x1.fffffep127f, -0x1.fffffep127f,
        1e-20f, INFINITY, -INFINITY, NAN};
    const uint64_t drawn = bits();
    const uint32_t high = static_cast<uint32_t>(drawn >> 32);
    if (values == Values::kAny && high % 4 == 0) return special[(high >> 2) % (sizeof special / sizeof *special)];
    const uint32_t mantissa = drawn & 0x7fffff, exponent = 127 - 16 + (high >> 2) % 24;
    const uint32_t sign = values != Values::kPositive && (drawn >> 31) % 2 == 1 ? 1 : 0;
    const uint32_t whole = sign << 31 | exponent << 23 | mantissa;
    float number;
    memcpy(&number, &whole, sizeof number);
    return number;
  }

  uint64_t state_;
};
