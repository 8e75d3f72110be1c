// NovoGrad. Ginsburg et al. 2019, Algorithm 1. https://arxiv.org/abs/1905.11286
namespace ISA {
struct NovoGrad {
  STATE(expAvg)
  CONSTANTS(lr, beta1, gradWeight, weightDecay, eps, inverseNorm)
  /// beta2 is 0 in the first step, so that the average starts as the square of the norm.
  struct Numbers {
    NUMBERS(expAvgSq, beta2)
    void decide(const double* sums) { expAvgSq = beta2 * expAvgSq + (1 - beta2) * sums[0]; }
  };
  static constexpr size_t kSums = 1;
  template <class V, class Sum>
  void measure(V, V grad, Sum sum, V) const {
    sum(0, grad, grad);
  }
  void resolve(const Numbers& numbers) {
    inverseNorm = static_cast<float>(1 / (::sqrt(numbers.expAvgSq) + static_cast<double>(eps)));
  }
  template <class V>
  void update(V& param, V grad, V& expAvg) const {
    expAvg = V(beta1) * expAvg + V(gradWeight) * (grad * V(inverseNorm) + V(weightDecay) * param);
    param = param - V(lr) * expAvg;
  }
};
}  // namespace ISA
