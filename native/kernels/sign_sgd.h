// SignSGD and Signum. Bernstein et al. 2018, Algorithms 1 and 2. https://arxiv.org/abs/1802.04434
namespace ISA {
struct SignSgd {
  STATE()
  CONSTANTS(lr)
  template <class V>
  void update(V& param, V grad) const {
    param = param - V(lr) * sign(grad);
  }
};

struct SignSgdMomentum {
  STATE(expAvg)
  CONSTANTS(lr, momentum, oneMinusMomentum)
  template <class V>
  void update(V& param, V grad, V& expAvg) const {
    expAvg = V(momentum) * expAvg + V(oneMinusMomentum) * grad;
    param = param - V(lr) * sign(expAvg);
  }
};
}  // namespace ISA
