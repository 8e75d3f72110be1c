// Cautious updates. Liang et al. 2024, Algorithm 1, with the scale of timm. https://arxiv.org/abs/2411.16085
// For a kernel whose formula only adds a step to the param.
namespace ISA {
/// The constants of a kernel, and one more.
template <class K>
struct CautiousConstants {
  static constexpr char kMore[] = ", cautiousScale";
  char text[sizeof K::kConstants + sizeof kMore - 1] = {};
  constexpr CautiousConstants() {
    size_t n = 0;
    for (const char* c = K::kConstants; *c != '\0'; ++c) text[n++] = *c;
    for (const char* c = kMore; *c != '\0'; ++c) text[n++] = *c;
  }
};

template <class K>
struct Cautious : K {
  float cautiousScale;
  static constexpr CautiousConstants<K> kNames = {};
  static constexpr const char* kConstants = kNames.text;

  /// The first norm is the root of the number of elements whose step is against the gradient.
  template <class V, class... S>
  void measure(V, V grad, V& against, V& none, S... state) const {
    V step = V(0.0f);
    K::update(step, grad, state...);  // of copies
    against = isAgainst(step, grad);
    none = V(0.0f);
  }
  void resolve(double kept, double, double length) {
    const double share = kept * kept / length;
    cautiousScale = static_cast<float>(1 / (share > 1e-3 ? share : 1e-3));
  }
  template <class V, class... S>
  void update(V& param, V grad, S&... state) const {
    V step = V(0.0f);
    K::update(step, grad, state...);
    param = param + select(isAgainst(step, grad), V(0.0f), step * V(cautiousScale), V(0.0f));
  }

 private:
  /// 1 or 0. A product of signs does not underflow.
  template <class V>
  V isAgainst(V step, V grad) const {
    return select(V(0.0f), sign(step) * sign(grad), V(1.0f), V(0.0f));
  }
};
}  // namespace ISA
