// RMSProp of TensorFlow.js: eps is inside the root, the learning rate inside the momentum buffer.
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

// Subtracts eps from the variance, as TensorFlow.js does: NaN if the variance is smaller than eps.
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
