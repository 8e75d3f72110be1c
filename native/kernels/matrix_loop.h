#pragma once
// The two walks of a matrix kernel.
namespace ISA {
/// First walk: updates the state with one number per element, and writes the elements of the matrix.
template <class K, size_t... S>
ALWAYS_INLINE void walkFill(const Pass pass, const K kernel, const Span span, float* matrix, Indices<S...>) {
  const State<K, Indices<S...>> state(span);
  const unsigned extras = extrasOf(pass);
  const auto fillVector = [&](auto memory, size_t i) {
    const Vec param = memory.load(span.param + i);
    const Vec grad = prologue(pass, extras, param, memory.load(span.grad + i));
    Vec values[sizeof...(S) + 1] = {state.template load<S>(memory, span, i)..., Vec(0.0f)};
    memory.store(kernel.fill(grad, values[S]...), matrix + i);
    (state.template store<S>(memory, values[S], span, i), ...);
  };
  size_t i = 0;
  for (; i + Vec::kLanes <= span.length; i += Vec::kLanes) fillVector(Whole(), i);
  if (i < span.length) fillVector(Part{span.length - i}, i);
}

/// Second walk, as an element-wise kernel: its only state is the matrix.
template <class K>
struct SecondWalk : K {
  static constexpr char kState[] = "matrix";
  template <class V>
  void update(V& param, V, V& matrix) const {
    K::update(param, matrix);
  }
};
}  // namespace ISA
