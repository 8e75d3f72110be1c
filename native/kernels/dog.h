// DoG and L-DoG. Ivgi, Hinder & Carmon 2023, Algorithm 1. https://arxiv.org/abs/2302.12022
namespace ISA {
struct Dog {
  STATE(initial)
  /// `anchor` is 0 in the first step, in which the norm of the params counts, and 1 later: then it is that of their
  /// distance from `initial`.
  CONSTANTS(anchor, rate)
  /// G is 0 before the first step. `initEta` is 0 if it is not given.
  struct Numbers {
    NUMBERS(r, G, lr, repsRel, eps, initEta, rate)
    void decide(const double* sums) {
      const bool isFirst = G == 0;
      const double norm = ::sqrt(sums[1]);
      if (isFirst) {
        r = initEta > 0 ? 0 : repsRel * (1 + norm);
        G = eps;
      } else if (norm > r) {
        r = norm;
      }
      G = G + sums[0];
      rate = isFirst && initEta > 0 ? initEta : G == 0 ? 0 : lr * r / ::sqrt(G);
    }
  };
  static constexpr size_t kSums = 2;
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum, V initial) const {
    sum(0, grad, grad);
    const V distance = param - V(anchor) * initial;
    sum(1, distance, distance);
  }
  void resolve(const Numbers& numbers) { rate = static_cast<float>(numbers.rate); }
  template <class V>
  void update(V& param, V grad, V&) const {
    param = param - V(rate) * grad;
  }
};
}  // namespace ISA
