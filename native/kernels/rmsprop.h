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

// The standard deviation. Rounding may leave the variance below 0, where PyTorch's root is NaN; here it is treated as
// 0. A NaN in the averages stays NaN.
template <class V>
inline V deviation(V squareAvg, V gradAvg) {
  return sqrt(max(V(0.0f), squareAvg - gradAvg * gradAvg));
}

struct RmsPropCentered {
  STATE(squareAvg, gradAvg)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& gradAvg) const {
    squareAvg = V(alpha) * squareAvg + (V(oneMinusAlpha) * grad) * grad;
    gradAvg = V(alpha) * gradAvg + V(oneMinusAlpha) * grad;
    param = param - V(lr) * grad / (deviation(squareAvg, gradAvg) + V(eps));
  }
};

struct RmsPropCenteredMomentum {
  STATE(squareAvg, gradAvg, momentumBuffer)
  CONSTANTS(lr, alpha, oneMinusAlpha, eps, momentum)
  template <class V>
  void update(V& param, V grad, V& squareAvg, V& gradAvg, V& momentumBuffer) const {
    squareAvg = V(alpha) * squareAvg + (V(oneMinusAlpha) * grad) * grad;
    gradAvg = V(alpha) * gradAvg + V(oneMinusAlpha) * grad;
    momentumBuffer = V(momentum) * momentumBuffer + grad / (deviation(squareAvg, gradAvg) + V(eps));
    param = param - V(lr) * momentumBuffer;
  }
};
}  // namespace ISA
