// Momo. Schaipp, Ohana, Eickenberg, Defazio & Gower 2024, Algorithms 2 and 3. https://arxiv.org/abs/2305.07583
namespace ISA {
/// The numbers of both: moving averages of the loss and of the gradient's product with the param, and of this step the
/// objective, the weights of the averages, the lower bound, and the sums <m, w> and <m, m/D>.
struct MomoNumbers {
  NUMBERS(lossAvg, gamma, loss, decay, weight, lowerBound, product, square)
  void decide(const double* sums) {
    lossAvg = decay * lossAvg + weight * loss;
    gamma = decay * gamma + weight * sums[0];
    product = sums[1];
    square = sums[2];
  }
  /// The rate at which the model of the loss reaches its lower bound, at most `limit`. `shrink` is 1 + lr *
  /// weightDecay.
  double rate(double limit, double shrink) const {
    if (square == 0) return 0;
    const double descent = shrink * (lossAvg - lowerBound - gamma) + product;
    const double step = (descent < 0 ? 0 : descent) / square;
    return step > limit ? limit : step;  // lets NaN through
  }
};

struct Momo {
  STATE(expAvg)
  CONSTANTS(lr, beta, oneMinusBeta, weightDecay, rate, shrink)
  using Numbers = MomoNumbers;
  static constexpr size_t kSums = 3;
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum, V& expAvg) const {
    sum(0, grad, param);
    expAvg = V(beta) * expAvg + V(oneMinusBeta) * grad;
    sum(1, expAvg, param);
    sum(2, expAvg, expAvg);
  }
  void resolve(const Numbers& numbers) {
    const double divisor = 1 + static_cast<double>(lr) * static_cast<double>(weightDecay);
    rate = static_cast<float>(numbers.rate(static_cast<double>(lr), divisor));
    shrink = static_cast<float>(divisor);
  }
  template <class V>
  void update(V& param, V, V& expAvg) const {
    param = (param - V(rate) * expAvg) / V(shrink);
  }
};

struct MomoAdam {
  STATE(expAvg, expAvgSq)
  CONSTANTS(lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps, weightDecay, limit, rate,
            shrink)
  using Numbers = MomoNumbers;
  static constexpr size_t kSums = 3;
  template <class V>
  V denominator(V expAvgSq) const {
    return sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps);
  }
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum, V& expAvg, V& expAvgSq) const {
    sum(0, grad, param);
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    sum(1, expAvg, param);
    sum(2, expAvg, expAvg / denominator(expAvgSq));
  }
  void resolve(const Numbers& numbers) {
    const double divisor = 1 + static_cast<double>(lr) * static_cast<double>(weightDecay);
    rate = static_cast<float>(numbers.rate(static_cast<double>(limit), divisor));
    shrink = static_cast<float>(divisor);
  }
  template <class V>
  void update(V& param, V, V& expAvg, V& expAvgSq) const {
    param = (param - V(rate) * expAvg / denominator(expAvgSq)) / V(shrink);
  }
};
}  // namespace ISA
