// AdaDelta of TensorFlow.js: the step is divided by the average without the current gradient.
// https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adadelta_optimizer.ts
namespace ISA {
struct TfAdadelta {
  STATE(squareAvg, accDelta)
  CONSTANTS(lr, rho, oneMinusRho, eps)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& accDelta) const {
    const V delta = sqrt(accDelta + V(eps)) / sqrt(squareAvg + V(eps)) * grad;
    squareAvg = V(rho) * squareAvg + V(oneMinusRho) * (grad * grad);
    accDelta = V(rho) * accDelta + V(oneMinusRho) * (delta * delta);
    param = param - V(lr) * delta;
  }
};
}  // namespace ISA
