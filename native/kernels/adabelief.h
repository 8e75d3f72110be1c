// AdaBelief. Zhuang et al. 2020, Algorithm 2. https://arxiv.org/abs/2010.07468
namespace ISA {
struct AdaBelief {
  STATE(expAvg, expAvgVar)
  // adaptive is 0 in the first steps with rectification, which are plain momentum, and else 1. With rectification,
  // stepSize has the bias corrections, and inverseBiasCorrection2Sqrt is 1.
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps, adaptive)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgVar) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    const V surprise = grad - expAvg;
    expAvgVar = V(beta2) * expAvgVar + (V(oneMinusBeta2) * surprise) * surprise + V(eps);
    const V root = sqrt(expAvgVar) * V(inverseBiasCorrection2Sqrt) + V(eps);
    param = param - V(stepSize) * expAvg / select(V(adaptive), V(0.0f), root, V(1.0f));
  }
};
}  // namespace ISA
