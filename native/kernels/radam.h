// RAdam. Liu et al. 2020, Algorithm 2. https://arxiv.org/abs/1908.03265
namespace ISA {
struct RAdam {
  STATE(expAvg, expAvgSq)
  // rectified is 0 in the first steps, while the variance of the adaptive rate is intractable: these are plain
  // momentum. Then it is 1.
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, eps, rectified)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V denominator = select(V(rectified), V(0.0f), sqrt(expAvgSq) + V(eps), V(1.0f));
    param = param - V(stepSize) * expAvg / denominator;
  }
};
}  // namespace ISA
