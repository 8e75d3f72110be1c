// Schedule-Free learning. Defazio et al. 2024, eq. 3-5 and Algorithm 1. https://arxiv.org/abs/2405.15682
// The param is y, at which the gradients are computed. z takes the plain steps; x is the average of z and the result.
namespace ISA {
/// (1 - share) * from + share * to. Exact where both are equal, so that a weight without a gradient does not drift, and
/// for a share of 0.
template <class V>
inline V between(V from, V to, V share) {
  return from + share * (to - from);
}

struct ScheduleFreeSgd {
  STATE(z, x)
  CONSTANTS(lr, weight, momentum)
  template <class V>
  void update(V& param, V grad, V& z, V& x) const {
    z = z - V(lr) * grad;
    x = between(x, z, V(weight));
    param = between(z, x, V(momentum));
  }
};

struct ScheduleFreeAdamW {
  STATE(z, x, expAvgSq)
  CONSTANTS(lr, weight, beta1, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps, weightDecay)
  template <class V>
  void update(V& param, V grad, V& z, V& x, V& expAvgSq) const {
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V direction = grad / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
    z = z - V(lr) * (direction + V(weightDecay) * param);
    x = between(x, z, V(weight));
    param = between(z, x, V(beta1));
  }
};
}  // namespace ISA
