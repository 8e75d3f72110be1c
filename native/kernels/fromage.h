// Fromage. Bernstein et al. 2020, Algorithm 1. https://arxiv.org/abs/2002.03432
namespace ISA {
struct Fromage {
  STATE()
  CONSTANTS(rate, shrink)
  /// `isFirst` is 1 in the first step of the param. `pBound` is 0 if it is not given.
  struct Numbers {
    NUMBERS(initialNorm, isFirst, lr, pBound, rate, shrink)
    void decide(const double* sums) {
      const double norm = ::sqrt(sums[0]), gradNorm = ::sqrt(sums[1]);
      if (isFirst != 0) initialNorm = norm;
      rate = norm > 0 && gradNorm > 0 ? lr * (norm / gradNorm) : lr;
      if (rate > FLT_MAX) rate = FLT_MAX;  // gradients may be denormal
      shrink = 1 / ::sqrt(1 + lr * lr);
      if (pBound == 0) return;
      const double square = sums[0] - 2 * rate * sums[2] + rate * rate * sums[1];
      const double next = square > 0 ? ::sqrt(square) * shrink : 0;
      const double most = pBound * initialNorm;
      if (next > most) shrink = shrink * (most / next);
    }
  };
  static constexpr size_t kSums = 3;
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum) const {
    sum(0, param, param);
    sum(1, grad, grad);
    sum(2, param, grad);
  }
  void resolve(const Numbers& numbers) {
    rate = static_cast<float>(numbers.rate);
    shrink = static_cast<float>(numbers.shrink);
  }
  template <class V>
  void update(V& param, V grad) const {
    param = V(shrink) * (param - V(rate) * grad);
  }
};
}  // namespace ISA
