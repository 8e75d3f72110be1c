// Stochastic gradient descent, plain and with momentum.
// Sutskever, Martens, Dahl & Hinton 2013, eq. 1-4. https://proceedings.mlr.press/v28/sutskever13.html
namespace ISA {
struct Sgd {
  STATE()
  CONSTANTS(lr)
  template <class V>
  void update(V& param, V grad) const {
    param = param - V(lr) * grad;
  }
};

// The textbook form: the learning rate is inside the velocity.
struct SgdVelocity {
  STATE(velocity)
  CONSTANTS(lr, momentum)
  template <class V>
  void update(V& param, V grad, V& velocity) const {
    velocity = V(momentum) * velocity - V(lr) * grad;
    param = param + velocity;
  }
};

// The velocity decays by the momentum of the previous step; the look-ahead uses that of the current step. They differ
// while a schedule changes the momentum. If they are equal, this is w - mu v + (1 + mu) v'.
struct SgdVelocityNesterov {
  STATE(velocity)
  CONSTANTS(lr, previousMomentum, momentum)
  template <class V>
  void update(V& param, V grad, V& velocity) const {
    const V pull = V(lr) * grad;
    velocity = V(previousMomentum) * velocity - pull;
    param = param + (V(momentum) * velocity - pull);
  }
};

// PyTorch's form: the learning rate is outside the momentum buffer.
struct SgdBuffer {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum, oneMinusDampening)
  template <class V>
  void update(V& param, V grad, V& momentumBuffer) const {
    momentumBuffer = V(momentum) * momentumBuffer + V(oneMinusDampening) * grad;
    param = param - V(lr) * momentumBuffer;
  }
};

struct SgdBufferNesterov {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum)
  template <class V>
  void update(V& param, V grad, V& momentumBuffer) const {
    momentumBuffer = V(momentum) * momentumBuffer + grad;
    param = param - V(lr) * (grad + V(momentum) * momentumBuffer);
  }
};
}  // namespace ISA
