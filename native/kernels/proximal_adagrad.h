// AdaGrad with an L1 penalty by composite mirror descent. Duchi, Hazan & Singer 2011, diagonal.
// https://jmlr.org/papers/v12/duchi11a.html
namespace ISA {
struct ProximalAdagrad {
  STATE(sum)
  // threshold is lr * l1. If it is 0, so is the quotient, whatever the scale.
  CONSTANTS(lr, threshold, eps)
  template <class V>
  void update(V& param, V grad, V& sum) const {
    sum = sum + grad * grad;
    const V scale = sqrt(sum) + V(eps);
    const V moved = param - overScale(V(lr) * grad, scale);
    const V shrinkage = select(V(threshold), V(0.0f), V(threshold) / scale, V(0.0f));
    param = sign(moved) * max(abs(moved) - shrinkage, V(0.0f));
  }
};
}  // namespace ISA
