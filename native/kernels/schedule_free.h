// Schedule-Free learning. Defazio et al. 2024, eq. 3-5 and Algorithm 1. https://arxiv.org/abs/2405.15682
// The param is y, at which the gradients are computed. z takes the plain steps; x is the average of z and the result.
namespace ISA {
/// (1 - weight) * from + weight * to. Exact if both are equal, so that a weight without a gradient does not drift, and
/// at weights 0 and 1. `fraction` is weight below 1/2, and weight - 1 from there on.
template <class V>
inline V interpolate(V from, V to, V weight, V fraction) {
  return select(V(0.5f), weight, from, to) + fraction * (to - from);
}

struct ScheduleFreeSgd {
  STATE(z, x)
  CONSTANTS(lr, weight, weightFraction, momentum, momentumFraction)
  template <class V>
  void update(V& param, V grad, V& z, V& x) const {
    z = z - V(lr) * grad;
    x = interpolate(x, z, V(weight), V(weightFraction));
    param = interpolate(z, x, V(momentum), V(momentumFraction));
  }
};

struct ScheduleFreeAdamW {
  STATE(z, x, expAvgSq)
  CONSTANTS(lr, weight, weightFraction, beta1, beta1Fraction, beta2, oneMinusBeta2, inverseBiasCorrection2Sqrt, eps,
            weightDecay)
  template <class V>
  void update(V& param, V grad, V& z, V& x, V& expAvgSq) const {
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
    const V direction = grad / (sqrt(expAvgSq) * V(inverseBiasCorrection2Sqrt) + V(eps));
    z = z - V(lr) * (direction + V(weightDecay) * param);
    x = interpolate(x, z, V(weight), V(weightFraction));
    param = interpolate(z, x, V(beta1), V(beta1Fraction));
  }
};
}  // namespace ISA
