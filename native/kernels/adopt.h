// ADOPT. Taniguchi et al. 2024, Algorithm 2. https://arxiv.org/abs/2411.02853
namespace ISA {
struct Adopt {
  STATE(expAvg, expAvgSq)
  // In the first step limit and beta2 are 0, and oneMinusBeta2 and decayFactor are 1: only expAvgSq changes.
  CONSTANTS(lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, limit, decayFactor)
  template <class V>
  void update(V& param, V grad, V& expAvg, V& expAvgSq) const {
    const V normalized = min(V(limit), max(V(-limit), grad / max(sqrt(expAvgSq), V(eps))));
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * normalized;
    param = V(decayFactor) * param - V(lr) * expAvg;
    expAvgSq = V(beta2) * expAvgSq + (V(oneMinusBeta2) * grad) * grad;
  }
};
}  // namespace ISA
