// AdaMax. Kingma & Ba 2015, Algorithm 2. https://arxiv.org/abs/1412.6980
// eps is inside the maximum, as in PyTorch. The paper has none and divides 0 by 0 until an element has had a gradient.
namespace ISA {
struct Adamax {
  STATE(expAvg, expInf)
  CONSTANTS(beta1, oneMinusBeta1, beta2, stepSize, eps)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expInf) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * grad;
    expInf = max(V(beta2) * expInf, abs(grad) + V(eps));
    param = param - V(stepSize) * expAvg / expInf;
  }
};
}  // namespace ISA
