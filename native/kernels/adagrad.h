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

// One accumulator a row, of the mean of its squares: for embedding tables, where it saves half of the memory. As in
// FBGEMM's exact_row_wise_adagrad.
struct AdagradRowWise {
  STATE(sum)
  LAYOUT(kRow)
  CONSTANTS(lr, eps)
  float accumulate(float meanSquare, float sum) const { return sum + meanSquare; }
  template <class V>
  void update(V& param, V grad, V sum) const {
    param = param - V(lr) * grad / (sqrt(sum) + V(eps));
  }
};
}  // namespace ISA
