// MARS. Yuan et al. 2024, Algorithms 2 and 3. https://arxiv.org/abs/2411.10438
namespace ISA {
/// The gradient, corrected by its difference to the one before.
template <class V>
inline V marsGrad(V correction, V grad, V previousGrad) {
  return finite(grad + correction * finite(grad - previousGrad));
}

/// What divides the gradient: its norm, if that is above 1. The norm may be beyond float32.
inline float marsDivisor(double norm) { return norm > 1 ? static_cast<float>(norm < FLT_MAX ? norm : FLT_MAX) : 1; }

struct MarsAdamW {
  STATE(expAvg, expAvgSq, previousGrad)
  CONSTANTS(correction, divisor, beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps)
  template <class V>
  void measure(V, V grad, V&, V& second, V, V, V previousGrad) const {
    second = marsGrad(V(correction), grad, previousGrad);
  }
  void resolve(double, double norm, double) { divisor = marsDivisor(norm); }
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq, V& previousGrad) const {
    const V corrected = marsGrad(V(correction), grad, previousGrad) / V(divisor);
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * corrected;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * corrected) * corrected;
    param = param - V(stepSize) * expAvg / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
    previousGrad = grad;
  }
};

struct MarsLion {
  STATE(expAvg, previousGrad)
  CONSTANTS(correction, divisor, beta1, oneMinusBeta1, lr)
  template <class V>
  void measure(V, V grad, V&, V& second, V, V previousGrad) const {
    second = marsGrad(V(correction), grad, previousGrad);
  }
  void resolve(double, double norm, double) { divisor = marsDivisor(norm); }
  template <class V>
  void update(V& param, V grad, V& expAvg, V& previousGrad) const {
    const V corrected = marsGrad(V(correction), grad, previousGrad) / V(divisor);
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * corrected;
    param = param - V(lr) * sign(expAvg);
    previousGrad = grad;
  }
};
}  // namespace ISA
