// DAdaptAdamW. Defazio & Mishchenko 2023, Adam with D-Adaptation, as the authors compute it in their package.
// https://arxiv.org/abs/2301.07733
namespace ISA {
struct DAdaptAdamW {
  STATE(expAvg, expAvgSq, s)
  /// `counts` is 1, or 0 for a param at lr 0, which stands still and enters no sum. `moves` is 0 if nothing moves.
  CONSTANTS(beta1, gradWeight, beta2, squareWeight, sqrtBeta2, sumWeight, eps, weightDecay, counts, moves, decayFactor)
  /// d is 0 before the first step. `delta` is the rate of the step by the old d; `rate` is the same, or 0 if nothing
  /// moves.
  struct Numbers {
    NUMBERS(d, numerator, d0, growthRate, sqrtBeta2, delta, rate)
    void decide(const double* sums) {
      if (d == 0) d = d0;
      rate = 0;
      if (sums[1] == 0) return;
      rate = delta;
      numerator = sqrtBeta2 * numerator + (1 - sqrtBeta2) * (delta * sums[0]);
      const double estimate = numerator / ((1 - sqrtBeta2) * sums[1]);
      const double grown = d * growthRate;
      const double next = grown < estimate ? grown : estimate;
      if (next > d) d = next;
    }
  };
  static constexpr size_t kSums = 2;
  template <class V, class Sum>
  void measure(V, V grad, Sum sum, V& expAvg, V& expAvgSq, V& s) const {
    sum(0, V(counts) * grad, s / (sqrt(expAvgSq) + V(eps)));  // the old s and expAvgSq
    expAvg = V(beta1) * expAvg + V(gradWeight) * grad;
    expAvgSq = V(beta2) * expAvgSq + (V(squareWeight) * grad) * grad;
    s = V(sqrtBeta2) * s + V(sumWeight) * grad;
    sum(1, abs(s), V(counts));
  }
  void resolve(const Numbers& numbers) {
    decayFactor = static_cast<float>(1 - numbers.rate * static_cast<double>(weightDecay * counts));
    moves = numbers.rate == 0 ? 0 : counts;
  }
  template <class V>
  void update(V& param, V, V& expAvg, V& expAvgSq, V&) const {
    param = V(decayFactor) * param - V(moves) * expAvg / (sqrt(expAvgSq) + V(eps));
  }
};
}  // namespace ISA
