// Averaged SGD. Polyak & Juditsky 1992, https://doi.org/10.1137/0330046; the step sizes are those of Bottou's sgd, as
// in PyTorch.
namespace ISA {
struct Asgd {
  STATE(ax)
  CONSTANTS(decayFactor, eta, mu)
  template <class V>
  void update(V& param, V grad, V& ax) const {
    param = V(decayFactor) * param - V(eta) * grad;
    // Until the averaging begins (mu 1) ax is a copy, to the bit.
    ax = select(V(1.0f), V(mu), ax + V(mu) * (param - ax), param);
  }
};
}  // namespace ISA
