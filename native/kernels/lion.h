// Lion. Chen et al. 2023, Algorithm 2. https://arxiv.org/abs/2302.06675
namespace ISA {
struct Lion {
  STATE(expAvg)
  CONSTANTS(lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2)
  template <class V>
  void update(V& param, V grad, V& expAvg) const {
    param = param - V(lr) * sign(V(beta1) * expAvg + V(oneMinusBeta1) * grad);
    expAvg = V(beta2) * expAvg + V(oneMinusBeta2) * grad;
  }
};
}  // namespace ISA
