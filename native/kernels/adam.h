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

// For tables. With one second moment per matrix row, of the mean square of its gradient: saves a third of the memory.
// The same as partial_rowwise_adam in FBGEMM.
struct AdamRowWise {
  STATE(expAvg, expAvgSq)
  LAYOUT(kElement, kRow)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps)
  template <class Mean>
  void updateRow(Mean meanSquare, float& expAvgSq) const {
    expAvgSq = beta2 * expAvgSq + oneMinusBeta2 * meanSquare();
  }
  template <class V>
  void update(V& param, V grad, V& expAvg, V expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    param = param - V(stepSize) * expAvg / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
  }
};

// For tables. Each row counts its own updates: its bias corrections 1 - beta^t are averages of 1, as the moments are
// averages of the gradient.
struct AdamRowSteps {
  STATE(expAvg, expAvgSq, biasCorrection1, biasCorrection2)
  LAYOUT(kElement, kElement, kRow, kRow)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, lr, eps)
  template <class Mean>
  void updateRow(Mean, float& biasCorrection1, float& biasCorrection2) const {
    biasCorrection1 = beta1 * biasCorrection1 + oneMinusBeta1;
    biasCorrection2 = beta2 * biasCorrection2 + oneMinusBeta2;
  }
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq, V biasCorrection1, V biasCorrection2) const {
    const V stepSize = V(lr) / biasCorrection1, inverse = V(1) / sqrt(biasCorrection2);  // once a row
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    param = param - stepSize * expAvg / (sqrt(expAvgSq) * inverse + V(eps));
  }
};

struct AdamRowWiseSteps {
  STATE(expAvg, expAvgSq, biasCorrection1, biasCorrection2)
  LAYOUT(kElement, kRow, kRow, kRow)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, lr, eps)
  template <class Mean>
  void updateRow(Mean meanSquare, float& expAvgSq, float& biasCorrection1, float& biasCorrection2) const {
    expAvgSq = beta2 * expAvgSq + oneMinusBeta2 * meanSquare();
    biasCorrection1 = beta1 * biasCorrection1 + oneMinusBeta1;
    biasCorrection2 = beta2 * biasCorrection2 + oneMinusBeta2;
  }
  template <class V>
  void update(V& param, V grad, V& expAvg, V expAvgSq, V biasCorrection1, V biasCorrection2) const {
    const V stepSize = V(lr) / biasCorrection1, inverse = V(1) / sqrt(biasCorrection2);  // once a row
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    param = param - stepSize * expAvg / (sqrt(expAvgSq) * inverse + V(eps));
  }
};
}  // namespace ISA
