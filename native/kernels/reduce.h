#pragma once
// Sums in a fixed order, so that every instruction set computes the same bits. Element i goes to virtual lane i mod 16;
// at the end the upper half of the lanes is added to the lower half, until one is left. Elements are floats or doubles,
// and the product of two floats is exact in float64.
#include "../simd/double1.h"
namespace ISA {
constexpr size_t kVirtualLanes = 16;

inline double foldLanes(double* lanes) {
  for (size_t half = kVirtualLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
  }
  return lanes[0];
}

/// The same for lanes in registers: as long as there are several, whole registers are added.
inline double foldRegisters(Double* sums) {
  for (size_t half = kVirtualLanes / Double::kLanes / 2; half > 0; half /= 2) {
    for (size_t r = 0; r < half; ++r) sums[r] = sums[r] + sums[r + half];
  }
  double lanes[Double::kLanes];
  sums[0].store(lanes);
  for (size_t half = Double::kLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
  }
  return lanes[0];
}

/// Returns the sum of term(i, v) over all elements: whole registers, where v is a Double, then one by one, where it is
/// a Double1. Only the type of v has a meaning.
template <class Term>
inline double sumOf(size_t length, Term term) {
  constexpr size_t kRegisters = kVirtualLanes / Double::kLanes;
  Double sums[kRegisters];
  size_t i = 0;
  for (; i + kVirtualLanes <= length; i += kVirtualLanes) {
    for (size_t r = 0; r < kRegisters; ++r) sums[r] = sums[r] + term(i + r * Double::kLanes, Double());
  }
  if (i == length) return foldRegisters(sums);
  double lanes[kVirtualLanes];
  for (size_t r = 0; r < kRegisters; ++r) sums[r].store(lanes + r * Double::kLanes);
  for (size_t lane = 0; i < length; ++i, ++lane) lanes[lane] = lanes[lane] + term(i, Double1()).x;
  return foldLanes(lanes);
}

template <class X, class Y>
inline double dot(const void* xData, const void* yData, size_t length) {
  const X* const x = static_cast<const X*>(xData);
  const Y* const y = static_cast<const Y*>(yData);
  return sumOf(length, [=](size_t i, auto v) { return decltype(v)::load(x + i) * decltype(v)::load(y + i); });
}

/// The same bits as dot. The last elements are vectors with zeros behind them: no sum of squares is -0, so adding 0
/// leaves its bits.
inline double sumSquares(const float* x, size_t length) {
  Double sums[kVirtualLanes / Double::kLanes];
  size_t i = 0;
  for (; i + kVirtualLanes <= length; i += kVirtualLanes) {
    for (size_t lane = 0; lane < kVirtualLanes; lane += Double::kLanes) {
      const Double v = Double::load(x + i + lane);
      Double& sum = sums[lane / Double::kLanes];
      sum = sum + v * v;
    }
  }
  if (i == length) return foldRegisters(sums);
  for (size_t lane = 0; lane < kVirtualLanes; lane += Vec::kLanes) {
    if (i + lane >= length) break;
    const size_t rest = length - i - lane;
    const Doubles last(rest < Vec::kLanes ? Vec::load(x + i + lane, rest) : Vec::load(x + i + lane));
    for (size_t part = 0; part < Vec::kLanes / Double::kLanes; ++part) {
      Double& sum = sums[lane / Double::kLanes + part];
      sum = sum + last.parts[part] * last.parts[part];
    }
  }
  return foldRegisters(sums);
}
}  // namespace ISA
