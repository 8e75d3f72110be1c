#pragma once
// Element-wise operations on whole vectors that are no optimizer's formula.
namespace ISA {
inline void lerp(float* target, const float* source, float rate, size_t length) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) {
    const Vec t = Vec::load(target + i);
    (t + Vec(rate) * (Vec::load(source + i) - t)).store(target + i);
  }
  for (; i < length; ++i) target[i] = target[i] + rate * (source[i] - target[i]);
}

inline void add(float* target, const float* source, size_t length) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) (Vec::load(target + i) + Vec::load(source + i)).store(target + i);
  for (; i < length; ++i) target[i] = target[i] + source[i];
}

inline void scale(float* x, float factor, size_t length) {
  size_t i = 0;
  for (; i + Vec::kLanes <= length; i += Vec::kLanes) (Vec(factor) * Vec::load(x + i)).store(x + i);
  for (; i < length; ++i) x[i] = factor * x[i];
}
}  // namespace ISA
