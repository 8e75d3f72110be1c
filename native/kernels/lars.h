// LARS. You, Gitman & Ginsburg 2017, Algorithm 1. https://arxiv.org/abs/1708.03888
namespace ISA {
struct Lars {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum, weightDecay, trustCoefficient, rate)
  /// The norms are the weight's and the gradient's.
  template <class V>
  void measure(V, V, V&, V&, V&) const {}
  void resolve(double weights, double grads, double) {
    double ratio = 1;
    if (weights > 0 && grads > 0) {
      ratio = static_cast<double>(trustCoefficient) * weights / (grads + static_cast<double>(weightDecay) * weights);
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
