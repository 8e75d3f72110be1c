/** A step on one tensor: w holds the params, g the gradient, a and b the state; t counts steps from 1. */
export type Loop = (w: Float32Array, g: Float32Array, a: Float32Array, b: Float32Array, t: number) => void;

interface Momentum {
  readonly lr: number;
  readonly momentum: number;
}

interface AdamConstants {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
}

/**
 * The updates as one would write them by hand: one loop over typed arrays, constants outside the loop, no allocation.
 * Arithmetic is in float64, as V8 computes it, which is faster than float32 with Math.fround.
 */
export const loops = {
  Adam:
    ({ lr, betas: [beta1, beta2], eps }: AdamConstants): Loop =>
    (w, g, m, v, t) => {
      const [oneMinusBeta1, oneMinusBeta2] = [1 - beta1, 1 - beta2];
      const stepSize = lr / (1 - beta1 ** t);
      const inverseCorrection = 1 / Math.sqrt(1 - beta2 ** t);
      for (let i = 0; i < w.length; i++) {
        const x = g[i]!;
        const first = beta1 * m[i]! + oneMinusBeta1 * x;
        const second = beta2 * v[i]! + oneMinusBeta2 * x * x;
        m[i] = first;
        v[i] = second;
        w[i] = w[i]! - (stepSize * first) / (Math.sqrt(second) * inverseCorrection + eps);
      }
    },
  SGD:
    ({ lr }: Pick<Momentum, 'lr'>): Loop =>
    (w, g) => {
      for (let i = 0; i < w.length; i++) w[i] = w[i]! - lr * g[i]!;
    },
  'SGD, momentum':
    ({ lr, momentum }: Momentum): Loop =>
    (w, g, velocity) => {
      for (let i = 0; i < w.length; i++) {
        const v = momentum * velocity[i]! + g[i]!;
        velocity[i] = v;
        w[i] = w[i]! - lr * v;
      }
    },
};
