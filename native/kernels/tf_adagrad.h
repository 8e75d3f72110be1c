// AdaGrad of TensorFlow.js: eps is inside the root.
// https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-core/src/optimizers/adagrad_optimizer.ts
namespace ISA {
struct TfAdagrad {
  STATE(sum)
  CONSTANTS(lr, eps)
  template <class V>
  void update(V& param, V grad, V& sum) const {
    sum = sum + grad * grad;
    param = param - V(lr) * (grad / sqrt(V(sum + V(eps))));
  }
};
}  // namespace ISA
