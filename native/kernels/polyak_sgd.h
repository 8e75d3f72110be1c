// PolyakSGD. Loizou, Vaswani, Laradji & Lacoste-Julien 2021, equation 2 (SPS max). https://arxiv.org/abs/2002.10542
namespace ISA {
struct PolyakSgd {
  STATE()
  CONSTANTS(lr, weightDecay, rate, decayFactor)
  /// `gap` is the distance of the loss from its least value.
  struct Numbers {
    NUMBERS(stepSize, gap, maxLr, eps)
    void decide(const double* sums) {
      const double divisor = sums[0] + eps;
      stepSize = 0;
      if (divisor <= DBL_EPSILON) return;
      stepSize = gap / divisor;
      if (stepSize > maxLr) stepSize = maxLr;  // lets NaN through
    }
  };
  static constexpr size_t kSums = 1;
  template <class V, class Sum>
  void measure(V, V grad, Sum sum) const {
    sum(0, grad, grad);
  }
  void resolve(const Numbers& numbers) {
    const double e = static_cast<double>(lr) * numbers.stepSize;
    rate = static_cast<float>(e);
    decayFactor = static_cast<float>(1 - e * static_cast<double>(weightDecay));
  }
  template <class V>
  void update(V& param, V grad) const {
    param = V(decayFactor) * param - V(rate) * grad;
  }
};
}  // namespace ISA
