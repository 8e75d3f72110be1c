// Adafactor. Shazeer & Stern 2018, Algorithms 4 and 5. https://arxiv.org/abs/1804.04235
namespace ISA {
/// The constants and formulas of all variants. They share one list of constants, because a group may mix params with
/// and without a shape.
struct AdafactorBase {
  CONSTANTS(beta2, oneMinusBeta2, eps1, eps2, clipThreshold, weightDecay, scaleParameter, lr, decayFactor, rate,
            rootMean, beta1, oneMinusBeta1)
  template <class V>
  V average(V square, V before) const {
    return V(beta2) * before + V(oneMinusBeta2) * (square + V(eps1));
  }
  float accumulate(float meanSquare, float before) const { return average(meanSquare, before); }
  void resolveMean(double mean) { rootMean = static_cast<float>(::sqrt(mean)); }
  /// The norms of the param and of the update before clipping. `rate` includes the clipping of the update to an RMS of
  /// clipThreshold; the weight decay uses the full rate.
  void resolve(double paramNorm, double updateNorm, double length) {
    const double root = ::sqrt(length), rms = paramNorm / root, least = static_cast<double>(eps2);
    const double excess = updateNorm / root / static_cast<double>(clipThreshold);
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
  /// Algorithm 4 divides by sqrt(rowAvg * colAvg / mean(rowAvg)). Each root is taken alone, because rowAvg * colAvg may
  /// leave the range of float32. The engine takes those of the columns, once a step.
  template <class V>
  V direction(V grad, V rowAvg, V colRoot) const {
    return grad / colRoot * (V(rootMean) / sqrt(rowAvg));
  }
};

// Params without a shape: Algorithm 4 without the factors.
struct Adafactor : AdafactorBase {
  STATE(squareAvg)
  template <class V>
  void measure(V, V grad, V&, V& update, V& squareAvg) const {
    squareAvg = average(grad * grad, squareAvg);
    update = grad / sqrt(squareAvg);
  }
  template <class V>
  void update(V& param, V grad, V& squareAvg) const {
    step(param, grad / sqrt(squareAvg));
  }
};

struct AdafactorMomentum : AdafactorBase {
  STATE(squareAvg, expAvg)
  template <class V>
  void measure(V, V grad, V&, V& update, V& squareAvg, V&) const {
    squareAvg = average(grad * grad, squareAvg);
    update = grad / sqrt(squareAvg);
  }
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& expAvg) const {
    step(param, grad / sqrt(squareAvg), expAvg);
  }
};

// Matrices: the means of rows and columns replace the average of each element.
struct AdafactorFactored : AdafactorBase {
  STATE(rowAvg, colAvg)
  LAYOUT(kRow, kColumn)
  template <class V>
  void measure(V, V grad, V&, V& update, V rowAvg, V colRoot) const {
    update = direction(grad, rowAvg, colRoot);
  }
  template <class V>
  void update(V& param, V grad, V& rowAvg, V& colRoot) const {
    step(param, direction(grad, rowAvg, colRoot));
  }
};

struct AdafactorFactoredMomentum : AdafactorBase {
  STATE(rowAvg, colAvg, expAvg)
  LAYOUT(kRow, kColumn, kElement)
  template <class V>
  void measure(V, V grad, V&, V& update, V rowAvg, V colRoot, V) const {
    update = direction(grad, rowAvg, colRoot);
  }
  template <class V>
  void update(V& param, V grad, V& rowAvg, V& colRoot, V& expAvg) const {
    step(param, direction(grad, rowAvg, colRoot), expAvg);
  }
};
}  // namespace ISA
