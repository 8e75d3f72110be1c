// NAdam. Dozat 2016, Algorithm 2. https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
// lr, the momentum schedule and its bias corrections are folded into gradStep and momentStep.
namespace ISA {
struct NAdam {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, gradStep, momentStep, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V ahead = V(gradStep) * grad + V(momentStep) * expAvg;
    param = param - ahead / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};
}  // namespace ISA
