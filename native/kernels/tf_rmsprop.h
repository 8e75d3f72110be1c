// RMSProp as TensorFlow.js has it: eps inside the root, the learning rate inside the buffer.
// https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/rmsprop_optimizer.ts
namespace ISA {
struct TfRmsProp {
  STATE(squareAvg, momentumBuffer)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps, momentum)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& momentumBuffer) const {
    squareAvg = V(alpha) * squareAvg + V(oneMinusAlpha) * (grad * grad);
    momentumBuffer = V(momentum) * momentumBuffer + V(lr) * grad / sqrt(squareAvg + V(eps));
    param = param - momentumBuffer;
  }
};

// eps is subtracted, as there: NaN where the variance is smaller.
struct TfRmsPropCentered {
  STATE(squareAvg, momentumBuffer, gradAvg)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps, momentum)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& momentumBuffer, V& gradAvg) const {
    squareAvg = V(alpha) * squareAvg + V(oneMinusAlpha) * (grad * grad);
    gradAvg = V(alpha) * gradAvg + V(oneMinusAlpha) * grad;
    momentumBuffer = V(momentum) * momentumBuffer + V(lr) * grad / sqrt(squareAvg - (gradAvg * gradAvg + V(eps)));
    param = param - momentumBuffer;
  }
};
}  // namespace ISA
