// LAMB. You et al. 2020, Algorithm 2. https://arxiv.org/abs/1904.00962
namespace ISA {
struct Lamb {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, inverseBiasCorrection1, inverseBiasCorrection2Sqrt, eps,
            weightDecay, clamp, lr, rate)
  /// Updates the averages. The norms are those of the param and of the update.
  template <class V>
  void measure(V param, V grad, V&, V& update, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    update = direction(param, expAvg, expAvgSq);
  }
  void resolve(double paramNorm, double updateNorm, double) {
    const double limit = static_cast<double>(clamp);
    const double clamped = paramNorm < limit ? paramNorm : limit;
    const double ratio = paramNorm > 0 && updateNorm > 0 ? clamped / updateNorm : 1;
    rate = static_cast<float>(static_cast<double>(lr) * ratio);
  }
  template <class V>
  void update(V& param, V, V& expAvg, V& expAvgSq) const {
    param = param - V(rate) * direction(param, expAvg, expAvgSq);
  }

 private:
  template <class V>
  V direction(V param, V expAvg, V expAvgSq) const {
    return expAvg * V(inverseBiasCorrection1) / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps)) +
           V(weightDecay) * param;
  }
};
}  // namespace ISA
