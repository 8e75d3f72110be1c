// Adan. Xie et al. 2022, Algorithm 1. https://arxiv.org/abs/2208.06677
namespace ISA {
struct Adan {
  STATE(expAvg, expAvgDiff, expAvgSq, previousGrad)
  // hasPrevious is 0 in the first step, whose difference is 0, and then 1. The decay is in decayFactor, before the
  // update, or in divisor, after it. The other one is 1.
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, beta3, oneMinusBeta3, momentStep, diffStep,
            inverseBiasCorrection3Sqrt, eps, hasPrevious, decayFactor, divisor)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgDiff, V& expAvgSq, V& previousGrad) const {
    const V diff = select(V(hasPrevious), V(0.0f), finite(grad - previousGrad), V(0.0f));
    const V ahead = grad + V(beta2) * diff;
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgDiff = V(beta2) * expAvgDiff + V(oneMinusBeta2) * diff;
    expAvgSq = V(beta3) * expAvgSq + (V(oneMinusBeta3) * ahead) * ahead;
    const V moments = V(momentStep) * expAvg + V(diffStep) * expAvgDiff;
    const V update = moments / (sqrt(expAvgSq) * V(inverseBiasCorrection3Sqrt) + V(eps));
    param = (V(decayFactor) * param - update) / V(divisor);
    previousGrad = grad;
  }
};
}  // namespace ISA
