// DoWG. Khaled, Mishchenko & Jin 2023, Algorithm 1. https://arxiv.org/abs/2305.16284
namespace ISA {
struct Dowg {
  STATE(initial)
  CONSTANTS(rate)
  /// r is 0 before the first step. `start` is its first square.
  struct Numbers {
    NUMBERS(r, G, lr, start, eps, rate)
    void decide(const double* sums) {
      if (r == 0) r = ::sqrt(start);
      const double distance = ::sqrt(sums[1]);
      if (distance > r) r = distance;
      const double square = r * r;
      G = G + square * sums[0];
      rate = lr * square / (::sqrt(G) + eps);
    }
  };
  static constexpr size_t kSums = 2;
  template <class V, class Sum>
  void measure(V param, V grad, Sum sum, V initial) const {
    sum(0, grad, grad);
    const V distance = param - initial;
    sum(1, distance, distance);
  }
  void resolve(const Numbers& numbers) { rate = static_cast<float>(numbers.rate); }
  template <class V>
  void update(V& param, V grad, V&) const {
    param = param - V(rate) * grad;
  }
};
}  // namespace ISA
