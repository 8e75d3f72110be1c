// AdaMax of TensorFlow.js: eps is outside the maximum.
// https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adamax_optimizer.ts
namespace ISA {
struct TfAdamax {
  STATE(expAvg, expInf)
  CONSTANTS(beta1, oneMinusBeta1, beta2, stepSize, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expInf) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expInf = max(V(beta2) * expInf, abs(grad));
    param = param - V(stepSize) * (expAvg / (expInf + V(eps)));
  }
};
}  // namespace ISA
