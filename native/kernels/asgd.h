// Averaged SGD. Polyak & Juditsky 1992. https://doi.org/10.1137/0330046
// The step sizes are those of Bottou's sgd, as in PyTorch.
namespace ISA {
struct Asgd {
  STATE(ax)
  CONSTANTS(decayFactor, eta, mu)
  template <class V>
  void update(V& param, V grad, V& ax) const {
    param = V(decayFactor) * param - V(eta) * grad;
    // Until the averaging starts, mu is 1 and ax is an exact copy; ax + (param - ax) would round.
    ax = select(V(1.0f), V(mu), ax + V(mu) * (param - ax), param);
  }
};
}  // namespace ISA
