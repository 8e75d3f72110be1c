// Simplified AdEMAMix. Morwani et al. 2025. https://arxiv.org/abs/2502.02431
namespace ISA {
struct SimplifiedAdEMAMix {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, beta2, oneMinusBeta2, lr, gradStep, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    expAvg = finite(V(beta1) * expAvg + grad);
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V mixed = V(lr) * expAvg + V(gradStep) * grad;
    param = param - mixed / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};
}  // namespace ISA
