// AdaGrad with an L1 penalty by regularized dual averaging. Duchi, Hazan & Singer 2011, diagonal.
// https://jmlr.org/papers/v12/duchi11a.html
namespace ISA {
struct AdagradDualAveraging {
  STATE(sum, gradSum)
  // threshold is t * l1.
  CONSTANTS(lr, threshold, eps)
  template <class V>
  void update(V& param, V grad, V& sum, V& gradSum) const {
    sum = sum + grad * grad;
    gradSum = finite(gradSum + grad);
    const V excess = sign(gradSum) * max(abs(gradSum) - V(threshold), V(0.0f));
    param = V(0.0f) - V(lr) * overScale(excess, sqrt(sum) + V(eps));
  }
};
}  // namespace ISA
