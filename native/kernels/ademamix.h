// AdEMAMix. Pagliardini, Ablin & Grangier 2024, Algorithm 1. https://arxiv.org/abs/2409.03137
// alpha and the bias corrections are folded into fastStep and slowStep. The weight decay inside the brackets is the
// decoupled one, which the prologue applies.
namespace ISA {
struct AdEMAMix {
  STATE(expAvgFast, expAvgSlow, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, beta3, oneMinusBeta3, fastStep, slowStep,
            inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvgFast, V& expAvgSlow, V& expAvgSq) const {
    expAvgFast = V(beta1) * expAvgFast + V(oneMinusBeta1) * grad;
    expAvgSlow = V(beta3) * expAvgSlow + V(oneMinusBeta3) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V mixed = V(fastStep) * expAvgFast + V(slowStep) * expAvgSlow;
    param = param - mixed / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};
}  // namespace ISA
