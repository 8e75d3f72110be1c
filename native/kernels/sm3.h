// SM3-II. Anil, Gupta, Koren & Singer 2019. https://arxiv.org/abs/1901.11150
namespace ISA {
struct Sm3Base {
  CONSTANTS(lr, momentum, oneMinusMomentum, eps)
  /// The accumulator of an element before its square is added.
  template <class V>
  V accumulate(V grad, V rowMax, V colMax) const {
    return min(rowMax, colMax) + grad * grad;
  }
  /// 0 where the accumulator is 0. It is never negative, so what is left of the other values is NaN.
  template <class V>
  V direction(V grad, V accumulator) const {
    return select(accumulator, V(0.0f), grad / sqrt(accumulator + V(eps)), accumulator);
  }
  template <class V>
  void step(V& param, V direction) const {
    param = param - V(lr) * direction;
  }
  template <class V>
  void step(V& param, V direction, V& expAvg) const {
    expAvg = V(momentum) * expAvg + V(oneMinusMomentum) * direction;
    param = param - V(lr) * expAvg;
  }
};

// Params without a shape: an accumulator per element, as Adagrad.
struct Sm3 : Sm3Base {
  STATE(sum)
  template <class V>
  void update(V& param, V grad, V& sum) const {
    sum = sum + grad * grad;
    step(param, direction(grad, sum));
  }
};

struct Sm3Momentum : Sm3Base {
  STATE(sum, expAvg)
  template <class V>
  void update(V& param, V grad, V& sum, V& expAvg) const {
    sum = sum + grad * grad;
    step(param, direction(grad, sum), expAvg);
  }
};

// Matrices: the largest accumulators of rows and columns.
struct Sm3Factored : Sm3Base {
  STATE(rowMax, colMax)
  LAYOUT(kRow, kColumn)
  template <class V>
  void update(V& param, V grad, V& rowMax, V& colMax) const {
    step(param, direction(grad, accumulate(grad, rowMax, colMax)));
  }
};

struct Sm3FactoredMomentum : Sm3Base {
  STATE(rowMax, colMax, expAvg)
  LAYOUT(kRow, kColumn, kElement)
  template <class V>
  void update(V& param, V grad, V& rowMax, V& colMax, V& expAvg) const {
    step(param, direction(grad, accumulate(grad, rowMax, colMax)), expAvg);
  }
};
}  // namespace ISA
