// Adafactor. Shazeer & Stern 2018, Algorithms 4 and 5. https://arxiv.org/abs/1804.04235
namespace ISA {
/// Its forms have the same constants, for params of both kinds may be in one group.
struct AdafactorForm {
  CONSTANTS(beta2, oneMinusBeta2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, decayFactor, rate, rootMean,
            beta1, oneMinusBeta1)
  template <class V>
  V average(V square, V before) const {
    return V(beta2) * before + V(oneMinusBeta2) * (square + V(eps1));
  }
  float accumulate(float meanSquare, float before) const { return average(meanSquare, before); }
  void resolveMean(double mean) { rootMean = static_cast<float>(::sqrt(mean)); }
  /// The norms are the weight's and the update's.
  void resolve(double weights, double updates, double length) {
    const double root = ::sqrt(length), rms = weights / root, least = static_cast<double>(eps2);
    const double excess = updates / root / static_cast<double>(clipThreshold);
    const double full = static_cast<double>(lr) * (scaleParameter == 0 ? 1 : rms > least ? rms : least);
    decayFactor = static_cast<float>(1 - full * static_cast<double>(weightDecay));
    rate = static_cast<float>(excess > 1 ? full / excess : full);
  }
  template <class V>
  void step(V& param, V direction) const {
    param = V(decayFactor) * param - V(rate) * direction;
  }
  template <class V>
  void step(V& param, V direction, V& expAvg) const {
    expAvg = V(beta1) * expAvg + V(oneMinusBeta1) * (V(rate) * direction);
    param = V(decayFactor) * param - expAvg;
  }
  /// The roots one by one: rowAvg * colAvg may leave the range of float32.
  template <class V>
  V direction(V grad, V rowAvg, V colAvg) const {
    return grad / sqrt(colAvg) * (V(rootMean) / sqrt(rowAvg));
  }
};

struct Adafactor : AdafactorForm {
  STATE(squareAvg)
  template <class V>
  void measure(V, V grad, V& squareAvg, V&, V& second) const {
    squareAvg = average(grad * grad, squareAvg);
    second = grad / sqrt(squareAvg);
  }
  template <class V>
  void update(V& param, V grad, V& squareAvg) const {
    step(param, grad / sqrt(squareAvg));
  }
};

struct AdafactorMomentum : AdafactorForm {
  STATE(squareAvg, expAvg)
  template <class V>
  void measure(V, V grad, V& squareAvg, V&, V&, V& second) const {
    squareAvg = average(grad * grad, squareAvg);
    second = grad / sqrt(squareAvg);
  }
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& expAvg) const {
    step(param, grad / sqrt(squareAvg), expAvg);
  }
};

struct AdafactorFactored : AdafactorForm {
  STATE(rowAvg, colAvg)
  LAYOUT(kRow, kColumn)
  template <class V>
  void measure(V, V grad, V& rowAvg, V& colAvg, V&, V& second) const {
    second = direction(grad, rowAvg, colAvg);
  }
  template <class V>
  void update(V& param, V grad, V& rowAvg, V& colAvg) const {
    step(param, direction(grad, rowAvg, colAvg));
  }
};

struct AdafactorFactoredMomentum : AdafactorForm {
  STATE(rowAvg, colAvg, expAvg)
  LAYOUT(kRow, kColumn, kElement)
  template <class V>
  void measure(V, V grad, V& rowAvg, V& colAvg, V&, V&, V& second) const {
    second = direction(grad, rowAvg, colAvg);
  }
  template <class V>
  void update(V& param, V grad, V& rowAvg, V& colAvg, V& expAvg) const {
    step(param, direction(grad, rowAvg, colAvg), expAvg);
  }
};
}  // namespace ISA
