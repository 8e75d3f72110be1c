#pragma once
// Sums whose order is fixed, so that every instruction set gives the same bits: element i goes to virtual lane i mod
// 16, and the lanes are folded in halves. The product of two floats is exact in double precision.
namespace ISA {
constexpr size_t kVirtualLanes = 16;

inline double sumSquares(const float* x, size_t length) {
  constexpr size_t kRegisters = kVirtualLanes / Double::kLanes;
  Double sums[kRegisters];
  size_t i = 0;
  for (; i + kVirtualLanes <= length; i += kVirtualLanes) {
    for (size_t r = 0; r < kRegisters; ++r) {
      const Double v = Double::load(x + i + r * Double::kLanes);
      sums[r] = sums[r] + v * v;
    }
  }
  double lanes[kVirtualLanes];
  for (size_t r = 0; r < kRegisters; ++r) sums[r].store(lanes + r * Double::kLanes);
  for (size_t lane = 0; i < length; ++i, ++lane)
    lanes[lane] = lanes[lane] + static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (size_t half = kVirtualLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
  }
  return lanes[0];
}
}  // namespace ISA
