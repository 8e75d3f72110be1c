// StableAdamW. Wortsman et al. 2023, Algorithm 2. https://arxiv.org/abs/2304.13013
// The bias corrections are in the decay rates of the averages: beta1 and beta2 change with t.
namespace ISA {
struct StableAdamW {
  STATE(expAvg, expAvgSq)
  CONSTANTS(beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, weightDecay, lr, decayFactor, rate)
  /// Updates the averages. The second norm is that of g / max(sqrt(s), eps).
  template <class V>
  void measure(V, V grad, V&, V& ratio, V& expAvg, V& expAvgSq) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    ratio = grad / max(sqrt(expAvgSq), V(eps));
  }
  void resolve(double, double norm, double length) {
    const double rms = norm / ::sqrt(length), full = static_cast<double>(lr);
    const double clipped = rms > 1 ? full / rms : full;
    decayFactor = static_cast<float>(1 - clipped * static_cast<double>(weightDecay));
    rate = static_cast<float>(clipped);
  }
  template <class V>
  void update(V& param, V, V& expAvg, V& expAvgSq) const {
    param = V(decayFactor) * param - V(rate) * expAvg / (sqrt(expAvgSq) + V(eps));
  }
};
}  // namespace ISA
