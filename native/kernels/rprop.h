// Rprop. Riedmiller & Braun 1993. https://doi.org/10.1109/icnn.1993.298623
// The variant "iRprop-", as in PyTorch: a gradient whose sign has changed is discarded. Igel & Hüsken 2000.
// https://citeseerx.ist.psu.edu/document?doi=10.1.1.17.1332
namespace ISA {
struct Rprop {
  STATE(prev, stepSize)
  CONSTANTS(etaMinus, etaPlus, minStep, maxStep)
  template <class V>
  void update(V& param, V grad, V& prev, V& stepSize) const {
    const V zero(0.0f);
    const V agreement = sign(grad) * sign(prev);
    const V factor = select(agreement, zero, V(etaPlus), select(zero, agreement, V(etaMinus), V(1.0f)));
    stepSize = min(V(maxStep), max(V(minStep), factor * stepSize));
    prev = select(zero, agreement, zero, grad);
    param = param - sign(prev) * stepSize;
  }
};
}  // namespace ISA
