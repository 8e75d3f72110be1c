// Optimistic gradient descent. Mokhtari, Ozdaglar & Pattathil 2019. https://arxiv.org/abs/1901.08511
namespace ISA {
struct OptimisticGradientDescent {
  STATE(previousGrad)
  // hasPrevious is 0 in the first step, whose previous gradient is its own, and then 1.
  CONSTANTS(gradStep, previousStep, hasPrevious)
  template <class V>
  void update(V& param, V grad, V& previousGrad) const {
    const V previous = select(V(hasPrevious), V(0.0f), previousGrad, grad);
    param = param - (V(gradStep) * grad - V(previousStep) * previous);
    previousGrad = grad;
  }
};
}  // namespace ISA
