// AdaDelta. Zeiler 2012, Algorithm 1. https://arxiv.org/abs/1212.5701
namespace ISA {
struct Adadelta {
  STATE(squareAvg, accDelta)
  CONSTANTS(lr, rho, oneMinusRho, eps)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& accDelta) const {
    squareAvg = V(rho) * squareAvg + (V(oneMinusRho) * grad) * grad;
    const V delta = sqrt(accDelta + V(eps)) / sqrt(squareAvg + V(eps)) * grad;
    accDelta = V(rho) * accDelta + (V(oneMinusRho) * delta) * delta;
    param = param - V(lr) * delta;
  }
};
}  // namespace ISA
