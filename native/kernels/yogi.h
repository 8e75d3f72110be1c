// Yogi. Zaheer et al. 2018, Algorithm 2. https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization
namespace ISA {
struct Yogi {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    // The sign sees an infinite square correctly, and the product of the other order stays finite.
    expAvgSq = finite(expAvgSq - sign(expAvgSq - grad * grad) * ((V(oneMinusBeta2) * grad) * grad));
    param = param - V(stepSize) * expAvg / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};
}  // namespace ISA
