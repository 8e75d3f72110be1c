#pragma once
// Sums whose order is fixed, so that every instruction set gives the same bits: element i goes to virtual lane i mod
// 16, and the lanes are folded in halves. Elements are floats or doubles; the product of two floats is exact in double
// precision.
#include "../simd/double1.h"
namespace ISA {
constexpr size_t kVirtualLanes = 16;

inline double folded(double* lanes) {
  for (size_t half = kVirtualLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
  }
  return lanes[0];
}

/// Calls step(i, sum) for all elements, a register of sums at a time, then of one lane for what is left. Returns the
/// sum of all lanes.
template <class Step>
inline double sumOf(size_t length, Step step) {
  constexpr size_t kRegisters = kVirtualLanes / Double::kLanes;
  Double sums[kRegisters];
  size_t i = 0;
  for (; i + kVirtualLanes <= length; i += kVirtualLanes) {
    for (size_t r = 0; r < kRegisters; ++r) step(i + r * Double::kLanes, sums[r]);
  }
  double lanes[kVirtualLanes];
  for (size_t r = 0; r < kRegisters; ++r) sums[r].store(lanes + r * Double::kLanes);
  for (size_t lane = 0; i < length; ++i, ++lane) {
    Double1 sum = lanes[lane];
    step(i, sum);
    lanes[lane] = sum.x;
  }
  return folded(lanes);
}

template <class V, class X, class Y>
inline void addProduct(const X* x, const Y* y, V& sum) {
  sum = sum + V::load(x) * V::load(y);
}

template <class X, class Y>
inline double dot(const void* xs, const void* ys, size_t length) {
  const X* const x = static_cast<const X*>(xs);
  const Y* const y = static_cast<const Y*>(ys);
  return sumOf(length, [=](size_t i, auto& sum) { addProduct(x + i, y + i, sum); });
}

inline double sumSquares(const float* x, size_t length) { return dot<float, float>(x, x, length); }
}  // namespace ISA
