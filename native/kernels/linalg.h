#pragma once
// Vector operations that belong to no optimizer. The first three compute in float32. All others read float32 or float64,
// compute in float64 and round once, when they store a result.
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

/// Calls step(i, a Double or a Double1 of no meaning) for all elements: whole registers, then one by one.
template <class Step>
inline void eachOf(size_t length, Step step) {
  size_t i = 0;
  for (; i + Double::kLanes <= length; i += Double::kLanes) step(i, Double());
  for (; i < length; ++i) step(i, Double1());
}

template <class V, class X, class Y, class Out>
inline void axpbyAt(V, double a, const X* x, double b, const Y* y, Out* out) {
  (V(a) * V::load(x) + V(b) * V::load(y)).store(out);
}

struct None {};

/// out = a * x + b * y; returns the sum of out * z, as it is stored, where there is a z. All arrays may be the same.
template <class X, class Y, class Out, class Z>
inline double axpby(double a, const void* xs, double b, const void* ys, void* outs, const void* zs, size_t length) {
  const X* const x = static_cast<const X*>(xs);
  const Y* const y = static_cast<const Y*>(ys);
  Out* const out = static_cast<Out*>(outs);
  if constexpr (sizeof(Z) == sizeof(None)) {
    eachOf(length, [=](size_t i, auto v) { axpbyAt(v, a, x + i, b, y + i, out + i); });
    return 0;
  } else {
    const Z* const z = static_cast<const Z*>(zs);
    return sumOf(length, [=](size_t i, auto& sum) {
      axpbyAt(sum, a, x + i, b, y + i, out + i);
      addProduct(out + i, z + i, sum);
    });
  }
}

template <class V, class X, class Out>
inline void multiplyAt(V, double factor, const X* x, Out* out) {
  (V(factor) * V::load(x)).store(out);
}

/// out = factor * x
template <class X, class Out>
inline void multiply(double factor, const void* xs, void* outs, size_t length) {
  const X* const x = static_cast<const X*>(xs);
  Out* const out = static_cast<Out*>(outs);
  eachOf(length, [=](size_t i, auto v) { multiplyAt(v, factor, x + i, out + i); });
}

/// The largest so far, and whether there was a NaN, which no comparison finds again.
template <class V>
struct Most {
  V most = 0.0, bad = 0.0;
  inline void see(V value) {
    const V size = abs(value);
    most = select(size, most, size, most);
    bad = select(size, -1.0, bad, static_cast<double>(NAN));
  }
};

/// max |value(i)|; NaN if one is NaN.
template <class Value>
inline double mostOf(size_t length, Value value) {
  constexpr size_t kRegisters = 4;
  Most<Double> registers[kRegisters];
  Most<Double1> all;
  size_t i = 0;
  for (; i + kRegisters * Double::kLanes <= length; i += kRegisters * Double::kLanes) {
    for (size_t r = 0; r < kRegisters; ++r) registers[r].see(value(i + r * Double::kLanes, Double()));
  }
  for (; i < length; ++i) all.see(value(i, Double1()));
  for (size_t r = 0; r < kRegisters; ++r) {
    double most[Double::kLanes], bad[Double::kLanes];
    registers[r].most.store(most);
    registers[r].bad.store(bad);
    for (size_t lane = 0; lane < Double::kLanes; ++lane) all.see(most[lane] + bad[lane]);
  }
  return all.most.x + all.bad.x;
}

template <class V, class X>
inline V loadAs(V, const X* x) {
  return V::load(x);
}

template <class X>
inline double maxAbs(const void* xs, size_t length) {
  const X* const x = static_cast<const X*>(xs);
  return mostOf(length, [=](size_t i, auto v) { return loadAs(v, x + i); });
}

/// max |x - y|
template <class X, class Y>
inline double maxAbsDifference(const void* xs, const void* ys, size_t length) {
  const X* const x = static_cast<const X*>(xs);
  const Y* const y = static_cast<const Y*>(ys);
  return mostOf(length, [=](size_t i, auto v) { return loadAs(v, x + i) - loadAs(v, y + i); });
}

template <class V>
inline void addFourAt(V, const double* const* columns, const double* weights, size_t i, double* x) {
  const V first = V(weights[0]) * V::load(columns[0] + i) + V(weights[1]) * V::load(columns[1] + i);
  const V second = V(weights[2]) * V::load(columns[2] + i) + V(weights[3]) * V::load(columns[3] + i);
  (V::load(x) + (first + second)).store(x);
}

/// x = x + the sum of weight * column, four columns together; their number is a multiple of four. The rows are those
/// from `begin` on.
inline void addColumns(const double* const* columns, const double* weights, size_t count, size_t begin, double* x,
                       size_t length) {
  for (size_t k = 0; k < count; k += 4) {
    const double* const four[] = {columns[k] + begin, columns[k + 1] + begin, columns[k + 2] + begin,
                                  columns[k + 3] + begin};
    const double w[] = {weights[k], weights[k + 1], weights[k + 2], weights[k + 3]};
    eachOf(length, [&](size_t i, auto v) { addFourAt(v, four, w, i, x + i); });
  }
}

// One row of each table of KernelSet: for both types of the last arguments.
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
