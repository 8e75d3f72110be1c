// COCOB-Backprop. Orabona & Tommasi 2017, Algorithm 2. https://arxiv.org/abs/1705.07795
namespace ISA {
struct Cocob {
  STATE(scale, gradAbsSum, reward, gradSum, initialParam)
  CONSTANTS(lr, alpha)
  template <class V>
  void update(V& param, V grad, V& scale, V& gradAbsSum, V& reward, V& gradSum, V& initialParam) const {
    const V pull = V(lr) * grad;
    scale = max(scale, abs(pull));
    gradAbsSum = gradAbsSum + abs(pull);
    reward = finite(max(reward - pull * (param - initialParam), V(0.0f)));
    gradSum = finite(gradSum - pull);
    // Two quotients of numbers of one size: the product of the two denominators could leave the range of float32.
    const V share = finite(scale + reward) / max(gradAbsSum + scale, V(alpha) * scale);
    param = initialParam + gradSum / scale * finite(share);
  }
};
}  // namespace ISA
