// LARS. You, Gitman & Ginsburg 2017, Algorithm 1. https://arxiv.org/abs/1708.03888
namespace ISA {
struct Lars {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum, weightDecay, trustCoefficient, rate)
  /// The norms are those of the param and of the gradient, as the walk has them.
  template <class V>
  void measure(V, V, V&, V&, V) const {}
  void resolve(double paramNorm, double gradNorm, double) {
    double ratio = 1;
    if (paramNorm > 0 && gradNorm > 0) {
      const double decay = static_cast<double>(weightDecay) * paramNorm;
      ratio = static_cast<double>(trustCoefficient) * paramNorm / (gradNorm + decay);
    }
    rate = static_cast<float>(static_cast<double>(lr) * ratio);
  }
  template <class V>
  void update(V& param, V grad, V& momentumBuffer) const {
    momentumBuffer = V(momentum) * momentumBuffer + V(rate) * (grad + V(weightDecay) * param);
    param = param - momentumBuffer;
  }
};
}  // namespace ISA
