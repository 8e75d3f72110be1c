#pragma once
// A double as a vector of one lane: for the scalar set, and for the tails of all other sets.
#include <math.h>
#include <stddef.h>
namespace ISA {
struct Double1 {
  static constexpr size_t kLanes = 1;
  double x;
  Double1(double s = 0) : x(s) {}
  static Double1 load(const float* p) { return static_cast<double>(*p); }
  static Double1 load(const double* p) { return *p; }
  /// Rounds.
  void store(float* p) const { *p = static_cast<float>(x); }
  void store(double* p) const { *p = x; }
};
inline Double1 operator+(Double1 a, Double1 b) { return a.x + b.x; }
inline Double1 operator-(Double1 a, Double1 b) { return a.x - b.x; }
inline Double1 operator*(Double1 a, Double1 b) { return a.x * b.x; }
#ifdef __GNUC__
inline Double1 abs(Double1 a) { return __builtin_fabs(a.x); }
#else
inline Double1 abs(Double1 a) { return ::fabs(a.x); }
#endif
/// a > b ? yes : no, lane by lane.
inline Double1 select(Double1 a, Double1 b, Double1 yes, Double1 no) { return a.x > b.x ? yes : no; }
}  // namespace ISA
