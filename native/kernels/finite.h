#pragma once
namespace ISA {
/// `a`, or the largest float of its sign if it is infinite. A NaN stays one. For sums, which an infinity would turn
/// into NaN once another one of the other sign, or an infinite divisor, meets it.
template <class V>
inline V finite(V a) {
  return min(V(FLT_MAX), max(V(-FLT_MAX), a));
}

/// a / scale, and 0 where scale is 0: with an eps of 0, before the first gradient that counts. A NaN stays one.
template <class V>
inline V overScale(V a, V scale) {
  return select(scale, V(0.0f), a / scale, scale);
}
}  // namespace ISA
