// MADGRAD. Defazio & Jelassi 2021, Algorithm 1. https://arxiv.org/abs/2101.11075
namespace ISA {
/// The cube root of a float that is not negative, in float64, rounded once. C libraries differ in cbrt by a bit.
inline float cubeRootOf(float a) {
  if (!(a > 0 && a <= FLT_MAX)) return a;
  const double x = a;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  // x = fraction * 8^thirds, with a fraction in [1, 8). The smallest exponent is -149.
  const uint64_t thirds = ((bits >> 52) - 1023 + 150) / 3;  // 50 more
  bits -= (3 * thirds - 150) << 52;
  double fraction;
  memcpy(&fraction, &bits, sizeof fraction);
  // A parabola, within 3 percent on [1, 8), then four steps of Newton's method.
  double root = 0.75 + fraction * (0.26 - 0.0125 * fraction);
  for (int step = 0; step < 4; ++step) root = (root + root + fraction / (root * root)) / 3;
  bits = (thirds + 1023 - 50) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return static_cast<float>(root * power);
}

template <class V>
inline V cubeRoot(V a) {
  float lanes[V::kLanes];
  a.store(lanes);
  for (size_t i = 0; i < V::kLanes; ++i) lanes[i] = cubeRootOf(lanes[i]);
  return V::load(lanes);
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
