// RMSProp. Tieleman & Hinton 2012, lecture 6.5. https://www.cs.toronto.edu/~hinton/coursera/lecture6/lec6.pdf
// Centred: Graves 2013, eq. 38-45. https://arxiv.org/abs/1308.0850
namespace ISA {
struct RmsProp {
  STATE(squareAvg)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps)
  template <class V>
  void update(V& param, V grad, V& squareAvg) const {
    squareAvg = V(alpha) * squareAvg + (V(oneMinusAlpha) * grad) * grad;
    param = param - V(lr) * grad / (sqrt(squareAvg) + V(eps));
  }
};

struct RmsPropMomentum {
  STATE(squareAvg, momentumBuffer)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps, momentum)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& momentumBuffer) const {
    squareAvg = V(alpha) * squareAvg + (V(oneMinusAlpha) * grad) * grad;
    momentumBuffer = V(momentum) * momentumBuffer + grad / (sqrt(squareAvg) + V(eps));
    param = param - V(lr) * momentumBuffer;
  }
};

// The centred form. Rounding may leave the variance below 0, where PyTorch's root is NaN; here it is treated as 0.
// One gradient of 1e25 makes PyTorch's averages infinite, and the variance NaN for good. Here it counts as gradLimit,
// whose (1 - alpha) g^2 is just finite, so that the averages recover. A NaN stays NaN.
struct RmsPropCenteredBase {
  CONSTANTS(lr, alpha, oneMinusAlpha, eps, momentum, gradLimit)
  /// Updates the averages. Returns factor * grad / (deviation + eps).
  template <class V>
  V normalized(V factor, V grad, V& squareAvg, V& gradAvg) const {
    const V seen = min(V(gradLimit), max(V(-gradLimit), grad));
    squareAvg = min(V(FLT_MAX), V(alpha) * squareAvg + (V(oneMinusAlpha) * seen) * seen);
    gradAvg = V(alpha) * gradAvg + V(oneMinusAlpha) * seen;
    return factor * seen / (sqrt(max(V(0.0f), squareAvg - gradAvg * gradAvg)) + V(eps));
  }
};

struct RmsPropCentered : RmsPropCenteredBase {
  STATE(squareAvg, gradAvg)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& gradAvg) const {
    param = param - normalized(V(lr), grad, squareAvg, gradAvg);
  }
};

struct RmsPropCenteredMomentum : RmsPropCenteredBase {
  STATE(squareAvg, gradAvg, momentumBuffer)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& gradAvg, V& momentumBuffer) const {
    momentumBuffer = V(momentum) * momentumBuffer + normalized(V(1.0f), grad, squareAvg, gradAvg);
    param = param - V(lr) * momentumBuffer;
  }
};
}  // namespace ISA
