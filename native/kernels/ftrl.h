// FTRL-Proximal. McMahan et al. 2013, Algorithm 1. https://doi.org/10.1145/2487575.2488200
namespace ISA {
struct Ftrl {
  STATE(z, n)
  CONSTANTS(inverseLr, beta, l1, l2)
  /// The largest float with a finite square. A larger gradient counts as this: an infinite n would make sigma NaN, as
  /// infinity minus infinity, and z with it for good.
  static constexpr float kLimit = 1.8446743e19f;
  template <class V>
  void update(V& param, V grad, V& z, V& n) const {
    const V seen = min(V(kLimit), max(V(-kLimit), grad));
    const V before = sqrt(n);
    n = min(V(FLT_MAX), n + seen * seen);
    const V after = sqrt(n);
    z = z + seen - (after - before) * V(inverseLr) * param;
    // z - z is 0, or NaN if z is NaN. A constant 0 would turn a NaN into a weight of 0.
    const V pull = select(abs(z), V(l1), sign(z) * V(l1) - z, z - z);
    param = pull / ((V(beta) + after) * V(inverseLr) + V(l2));
  }
};
}  // namespace ISA
