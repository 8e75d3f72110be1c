// Schedule-Free learning. Defazio et al. 2024, eq. 3-5 and Algorithm 1. https://arxiv.org/abs/2405.15682
// The param is y, at which the gradients are computed. z takes the plain steps; x is the average of z and the result.
namespace ISA {
struct ScheduleFreeSgd {
  STATE(z, x)
  CONSTANTS(lr, weight, oneMinusWeight, momentum, oneMinusMomentum)
  template <class V>
  void update(V& param, V grad, V& z, V& x) const {
    z = z - V(lr) * grad;
    x = V(oneMinusWeight) * x + V(weight) * z;
    param = V(oneMinusMomentum) * z + V(momentum) * x;
  }
};

struct ScheduleFreeAdamW {
  STATE(z, x, expAvgSq)
  CONSTANTS(lr, weight, oneMinusWeight, beta1, oneMinusBeta1, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps,
            weightDecay)
  template <class V>
  void update(V& param, V grad, V& z, V& x, V& expAvgSq) const {
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V direction = grad / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
    z = z - V(lr) * (direction + V(weightDecay) * param);
    x = V(oneMinusWeight) * x + V(weight) * z;
    param = V(oneMinusBeta1) * z + V(beta1) * x;
  }
};
}  // namespace ISA
