// Prodigy. Mishchenko & Defazio 2023, Algorithm 4. https://arxiv.org/abs/2306.06101
namespace ISA {
struct Prodigy {
  STATE(expAvg, expAvgSq, s, initial)
  /// `counts` is 1, or 0 for a param at lr 0, which stands still and enters no sum.
  CONSTANTS(beta1, gradWeight, beta2, squareWeight, beta3, sumWeight, eps, weightDecay, counts, rate, decayFactor,
            scaledEps)
  /// d is 0 before the first step. `delta` is the rate of the step by the old d, and `weight` that of the numerator.
  /// `rate` is delta, or 0 if nothing moves.
  struct Numbers {
    NUMBERS(d, dMax, numerator, d0, dCoef, growthRate, beta3, weight, delta, rate)
    void decide(const double* sums) {
      if (d == 0) d = dMax = d0;
      rate = 0;
      if (sums[1] == 0) return;
      rate = delta;
      numerator = beta3 * numerator + weight * sums[0];
      const double estimate = dCoef * numerator / sums[1];
      if (d == d0 && estimate > d) d = estimate;
      if (estimate > dMax) dMax = estimate;
      const double grown = d * growthRate;
      d = grown < dMax ? grown : dMax;
    }
  };
  static constexpr size_t kSums = 2;
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum, V& expAvg, V& expAvgSq, V& s, V& initial) const {
    sum(0, V(counts) * grad, initial - param);
    expAvg = V(beta1) * expAvg + V(gradWeight) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(squareWeight) * grad) * grad;
    s = V(beta3) * s + V(sumWeight) * grad;
    sum(1, abs(s), V(counts));
  }
  void resolve(const Numbers& numbers) {
    const double rateOfParam = numbers.rate * static_cast<double>(counts);
    decayFactor = static_cast<float>(1 - numbers.rate * static_cast<double>(weightDecay * counts));
    rate = static_cast<float>(rateOfParam);
    // Where nothing moves, expAvgSq and eps may both be 0.
    scaledEps = rateOfParam == 0 ? 1 : static_cast<float>(numbers.d * static_cast<double>(eps));
  }
  template <class V>
  void update(V& param, V, V& expAvg, V& expAvgSq, V&, V&) const {
    param = V(decayFactor) * param - V(rate) * expAvg / (sqrt(expAvgSq) + V(scaledEps));
  }
};
}  // namespace ISA
