// AdaGrad, diagonal. Duchi, Hazan & Singer 2011, figure 1. https://jmlr.org/papers/v12/duchi11a.html
namespace ISA {
struct Adagrad {
  STATE(sum)
  CONSTANTS(lr, eps)
  template <class V>
  void update(V& param, V grad, V& sum) const {
    sum = sum + grad * grad;
    param = param - V(lr) * grad / (sqrt(sum) + V(eps));
  }
};

// One accumulator per matrix row, of the mean square of its gradient: saves half of the memory of embedding tables.
// The same as exact_row_wise_adagrad in FBGEMM.
struct AdagradRowWise {
  STATE(sum)
  LAYOUT(kRow)
  CONSTANTS(lr, eps)
  template <class Mean>
  void updateRow(Mean meanSquare, float& sum) const {
    sum = sum + meanSquare();
  }
  template <class V>
  void update(V& param, V grad, V sum) const {
    param = param - V(lr) * grad / (sqrt(sum) + V(eps));
  }
};
}  // namespace ISA
