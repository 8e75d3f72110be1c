// Optimistic Adam. Daskalakis et al. 2018, Algorithm 1. https://arxiv.org/abs/1711.00141
namespace ISA {
struct OptimisticAdam {
  STATE(expAvg, expAvgSq, previousUpdate)
  // gradWeight is 0, unless the update looks ahead with Nesterov.
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, momentWeight, gradWeight, inverseBiasCorrection2Sqrt, eps,
            updateStep, previousStep, hasPrevious)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq, V& previousUpdate) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V numerator = V(momentWeight) * expAvg + V(gradWeight) * grad;
    const V update = numerator / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
    const V previous = select(V(hasPrevious), V(0.0f), previousUpdate, update);
    param = param - (V(updateStep) * update - V(previousStep) * previous);
    previousUpdate = update;
  }
};
}  // namespace ISA
