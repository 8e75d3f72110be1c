#pragma once
// Vector operations that belong to no optimizer. lerp, add and scale compute in float32. All others read float32 or
// float64, compute in float64, and round once when they store a result.
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

/// Calls step(i, v) for all elements, as sumOf calls its term.
template <class Step>
inline void forEach(size_t length, Step step) {
  size_t i = 0;
  for (; i + Double::kLanes <= length; i += Double::kLanes) step(i, Double());
  for (; i < length; ++i) step(i, Double1());
}

/// The element type of a vector that is absent.
struct None {};

/// out = a * x + b * y. Returns the dot product of out, as it is stored, and z; 0 if there is no z. Any of the arrays
/// may be the same.
template <class X, class Y, class Out, class Z>
inline double axpby(const AxpbyOperands& operands, size_t length) {
  const double a = operands.a, b = operands.b;
  const X* const x = static_cast<const X*>(operands.x);
  const Y* const y = static_cast<const Y*>(operands.y);
  Out* const out = static_cast<Out*>(operands.out);
  const auto combine = [=](size_t i, auto v) {
    using V = decltype(v);
    (V(a) * V::load(x + i) + V(b) * V::load(y + i)).store(out + i);
  };
  if constexpr (sizeof(Z) == sizeof(None)) {
    forEach(length, combine);
    return 0;
  } else {
    const Z* const z = static_cast<const Z*>(operands.z);
    return sumOf(length, [=](size_t i, auto v) {
      combine(i, v);
      return decltype(v)::load(out + i) * decltype(v)::load(z + i);
    });
  }
}

/// out = factor * x
template <class X, class Out>
inline void multiply(double factor, const void* xData, void* outData, size_t length) {
  const X* const x = static_cast<const X*>(xData);
  Out* const out = static_cast<Out*>(outData);
  forEach(length, [=](size_t i, auto v) {
    using V = decltype(v);
    (V(factor) * V::load(x + i)).store(out + i);
  });
}

/// The largest magnitude so far, and NaN if there was one. NaN has its own register, because a later comparison would
/// lose it.
template <class V>
struct MaxAbs {
  V max = 0.0, nan = 0.0;
  inline void add(V value) {
    const V size = abs(value);
    max = select(size, max, size, max);
    nan = select(size, -1.0, nan, static_cast<double>(NAN));
  }
};

/// Returns max |value(i)|, or NaN if one of them is NaN.
template <class Value>
inline double maxAbsOf(size_t length, Value value) {
  constexpr size_t kRegisters = 4;
  MaxAbs<Double> registers[kRegisters];
  MaxAbs<Double1> all;
  size_t i = 0;
  for (; i + kRegisters * Double::kLanes <= length; i += kRegisters * Double::kLanes) {
    for (size_t r = 0; r < kRegisters; ++r) registers[r].add(value(i + r * Double::kLanes, Double()));
  }
  for (; i < length; ++i) all.add(value(i, Double1()));
  for (size_t r = 0; r < kRegisters; ++r) {
    double max[Double::kLanes], nan[Double::kLanes];
    registers[r].max.store(max);
    registers[r].nan.store(nan);
    for (size_t lane = 0; lane < Double::kLanes; ++lane) all.add(max[lane] + nan[lane]);
  }
  return all.max.x + all.nan.x;
}

/// max |x|
template <class X>
inline double maxAbs(const void* xData, size_t length) {
  const X* const x = static_cast<const X*>(xData);
  return maxAbsOf(length, [=](size_t i, auto v) { return decltype(v)::load(x + i); });
}

/// max |x - y|
template <class X, class Y>
inline double maxAbsDifference(const void* xData, const void* yData, size_t length) {
  const X* const x = static_cast<const X*>(xData);
  const Y* const y = static_cast<const Y*>(yData);
  return maxAbsOf(length, [=](size_t i, auto v) { return decltype(v)::load(x + i) - decltype(v)::load(y + i); });
}

/// x = x + the sum of weights[k] * columns[k], in groups of four columns, each summed in pairs. x starts at the first
/// of the rows.
inline void addColumns(const double* const* columns, const double* weights, size_t count, RowRange rows, double* x) {
  const size_t begin = rows.begin;
  for (size_t k = 0; k < count; k += 4) {
    const double* const c[] = {columns[k] + begin, columns[k + 1] + begin, columns[k + 2] + begin,
                               columns[k + 3] + begin};
    const double w[] = {weights[k], weights[k + 1], weights[k + 2], weights[k + 3]};
    forEach(rows.length, [&](size_t i, auto v) {
      using V = decltype(v);
      const V first = V(w[0]) * V::load(c[0] + i) + V(w[1]) * V::load(c[1] + i);
      const V second = V(w[2]) * V::load(c[2] + i) + V(w[3]) * V::load(c[3] + i);
      (V::load(x + i) + (first + second)).store(x + i);
    });
  }
}

// The entries of Float64Kernels::axpby for all types of the arguments that are not named.
#define AXPBY_INTO(X, Y, OUT) \
  { &axpby<X, Y, OUT, float>, &axpby<X, Y, OUT, double>, &axpby<X, Y, OUT, None> }
#define AXPBY(X, Y) \
  { AXPBY_INTO(X, Y, float), AXPBY_INTO(X, Y, double) }
static constexpr Float64Kernels kFloat64 = {
    {{&dot<float, float>, &dot<float, double>}, {&dot<double, float>, &dot<double, double>}},
    {{AXPBY(float, float), AXPBY(float, double)}, {AXPBY(double, float), AXPBY(double, double)}},
    {{&multiply<float, float>, &multiply<float, double>}, {&multiply<double, float>, &multiply<double, double>}},
    {&maxAbs<float>, &maxAbs<double>},
    {{&maxAbsDifference<float, float>, &maxAbsDifference<float, double>},
     {&maxAbsDifference<double, float>, &maxAbsDifference<double, double>}},
    &addColumns,
};
}  // namespace ISA
