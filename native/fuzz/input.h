#pragma once
#include <stdint.h>
#include <string.h>

#include <vector>

/// The bytes of a fuzzer's input, as numbers. Reads zeros at the end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  size_t left() const { return size_; }

  template <class T>
  T take() {
    T value = {};
    const size_t taken = size_ < sizeof value ? size_ : sizeof value;
    memcpy(&value, data_, taken);
    data_ += taken;
    size_ -= taken;
    return value;
  }

  /// Any float: every pattern of bits.
  float number() { return take<float>(); }

  template <class T>
  std::vector<T> numbers(size_t count) {
    std::vector<T> all(count);
    for (T& one : all) one = take<T>();
    return all;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

/// Numbers at any alignment between guards, in a block of their own, so that AddressSanitizer knows its ends.
template <class T>
class Guarded {
 public:
  Guarded(const std::vector<T>& values, size_t offset) : length_(values.size()), offset_(offset) {
    bytes_.assign(offset * sizeof(T) + (length_ + kGuard) * sizeof(T), 0x5a);
    if (length_ > 0) memcpy(data(), values.data(), length_ * sizeof(T));
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data()) + offset_; }
  size_t length() const { return length_; }

  bool guarded() const {
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const bool isInside = i >= offset_ * sizeof(T) && i < (offset_ + length_) * sizeof(T);
      if (!isInside && bytes_[i] != 0x5a) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 8;
  size_t length_, offset_;
  std::vector<uint8_t> bytes_;
};

/// Whether two numbers have the same bits. Any NaN equals any other.
template <class T>
bool same(T a, T b) {
  return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0;
}
