// Sophia. Liu et al. 2023, Algorithm 3. https://arxiv.org/abs/2305.14342
namespace ISA {
struct Sophia {
  // hessian, an average of estimates of the diagonal, changes between the steps.
  STATE(expAvg, hessian)
  CONSTANTS(lr, beta1, oneMinusBeta1, gamma, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& hessian) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    const V newton = expAvg / max(V(gamma) * hessian, V(eps));
    param = param - V(lr) * min(V(1.0f), max(V(-1.0f), newton));
  }
};
}  // namespace ISA
