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

// PyTorch's form: the learning rate is outside the momentum buffer. usesBuffer is 0 or 1: a step with momentum 0 is
// plain and leaves the buffer as it is. gradWeight is 1 - dampening, or 1 in a plain step and in the first that uses
// the buffer.
struct SgdBuffer {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum, gradWeight, usesBuffer)
  template <class V>
  void update(V& param, V grad, V& momentumBuffer) const {
    const V next = V(momentum) * momentumBuffer + V(gradWeight) * grad;
    param = param - V(lr) * next;
    momentumBuffer = select(V(usesBuffer), V(0.0f), next, momentumBuffer);
  }
};

struct SgdBufferNesterov {
  STATE(momentumBuffer)
  CONSTANTS(lr, momentum, usesBuffer)
  template <class V>
  void update(V& param, V grad, V& momentumBuffer) const {
    const V next = V(momentum) * momentumBuffer + grad;
    param = param - V(lr) * (grad + V(momentum) * next);
    momentumBuffer = select(V(usesBuffer), V(0.0f), next, momentumBuffer);
  }
};
}  // namespace ISA
