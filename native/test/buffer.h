#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <random>
#include <vector>

/// Floats between guards, aligned to 4 bytes and no better, as a view of JavaScript's may be.
class Buffer {
 public:
  explicit Buffer(size_t length) : memory_(length + 2 * kGuard, kGuardBits), length_(length) {}
  float* data() { return reinterpret_cast<float*>(memory_.data() + kGuard); }
  uint32_t bits(size_t i) const { return memory_[kGuard + i]; }
  size_t length() const { return length_; }
  void set(size_t i, float value) { memcpy(&memory_[kGuard + i], &value, sizeof value); }

  bool guarded() const {
    for (size_t i = 0; i < kGuard; ++i) {
      if (memory_[i] != kGuardBits || memory_[kGuard + length_ + i] != kGuardBits) return false;
    }
    return true;
  }

  /// Any NaN equals any NaN; 0 and -0 differ. Returns the first index that differs, or length().
  size_t differs(const Buffer& other) const {
    for (size_t i = 0; i < length_; ++i) {
      if (bits(i) != other.bits(i) && !(isNan(bits(i)) && isNan(other.bits(i)))) return i;
    }
    return length_;
  }

 private:
  static constexpr size_t kGuard = 17;
  static constexpr uint32_t kGuardBits = 0x7fabcdef;
  static bool isNan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }
  std::vector<uint32_t> memory_;
  size_t length_;
};

enum class Values { kOrdinary, kPositive, kAny };

/// The same numbers on every machine: only the generator's own bits are used, no distribution.
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
