// MADGRAD. Defazio & Jelassi 2021, Algorithm 1. https://arxiv.org/abs/2101.11075
namespace ISA {
/// One step towards 1 / cbrt(x): the series of (1 - e)^(-1/3) to the third power. An error of .04 becomes 2e-5, then
/// 1e-20.
template <class T>
inline T closerInverseCubeRoot(T x, T y) {
  const T e = T(1) - x * y * y * y;
  return y + y * e * (T(1.0 / 3) + e * (T(2.0 / 9) + e * T(14.0 / 81)));
}

/// The cube roots of floats that are not negative, rounded correctly. C libraries differ in cbrt by a bit.
template <class V>
inline V cubeRoot(V a) {
  const V isSmall = select(V(FLT_MIN), a, V(1), V(0));
  const V x = a * select(isSmall, V(0), V(0x1p24f), V(1));  // a normal number
  constexpr size_t kWidth = V::kLanes < Double::kLanes ? Double::kLanes : V::kLanes;
  float root[kWidth] = {}, inverse[kWidth] = {};
  x.store(root);
  // Within 4 percent: a third of the bits, which are the exponent and then the fraction.
  uint32_t bits[kWidth];
  memcpy(bits, root, sizeof bits);
  for (uint32_t& word : bits) word = 0x54a21d2a - word / 3;
  memcpy(inverse, bits, sizeof bits);
  closerInverseCubeRoot(x, V::load(inverse)).store(inverse);
  for (size_t i = 0; i < kWidth; i += Double::kLanes) {
    const Double wide = Double::load(root + i), y = closerInverseCubeRoot(wide, Double::load(inverse + i));
    (wide * y * y).store(root + i);
  }
  const V unscaled = V::load(root) * select(isSmall, V(0), V(0x1p-8f), V(1));
  return select(a, V(0), select(a, V(FLT_MAX), a, unscaled), a);
}

struct Madgrad {
  STATE(gradSumSq, s, x0)
  CONSTANTS(lambda, eps, momentum, decay)
  template <class V>
  void update(V& param, V grad, V& gradSumSq, V& s, V& x0) const {
    gradSumSq = gradSumSq + (V(lambda) * grad) * grad;
    s = finite(s + V(lambda) * grad);
    const V scale = cubeRoot(gradSumSq) + V(eps);
    const V x = x0 - overScale(s, scale);
    const V decayed = select(V(decay), V(0.0f), V(decay) * param, V(0.0f));
    // In this form a param that is x stays as it is, to the bit.
    param = x + V(momentum) * (param - x) - decayed;
  }
};
}  // namespace ISA
