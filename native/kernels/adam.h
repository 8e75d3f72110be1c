// Adam. Kingma & Ba 2015, Algorithm 1. https://arxiv.org/abs/1412.6980
// AMSGrad. Reddi, Kale & Kumar 2018, Algorithm 2. https://arxiv.org/abs/1904.09237
// The bias corrections are folded into two constants, so that an element takes one division, not two.
namespace ISA {
struct Adam {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    param = param - V(stepSize) * expAvg / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};

struct AdamAmsgrad {
  STATE(expAvg, expAvgSq, maxExpAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq, V& maxExpAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    maxExpAvgSq = max(maxExpAvgSq, expAvgSq);
    param = param - V(stepSize) * expAvg / (sqrt(maxExpAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};
}  // namespace ISA
