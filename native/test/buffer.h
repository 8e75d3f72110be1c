#pragma once
#include <stdint.h>
#include <string.h>

#include <vector>

/// Floats between guards, aligned to only 4 bytes, as a typed array in JavaScript may be.
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

  /// Returns the first index at which the buffers differ, or length(). All NaNs are equal; 0 and -0 differ.
  size_t differs(const Buffer& other) const {
    if (memcmp(&memory_[kGuard], &other.memory_[kGuard], length_ * sizeof(uint32_t)) == 0) return length_;
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
