import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

/** The largest float32. */
const largest = (2 - 2 ** -23) * 2 ** 127;
type Centered = readonly [
  lr: number,
  alpha: number,
  oneMinusAlpha: number,
  eps: number,
  momentum: number,
  gradLimit: number,
];
const centered = ['lr', 'alpha', 'oneMinusAlpha', 'eps', 'momentum', 'gradLimit'] as const;

/** Updates the averages s and a. Returns factor·g / (√max(s − a², 0) + ε). A NaN stays NaN. */
function normalized(
  [, alpha, oneMinusAlpha, eps, , gradLimit]: Centered,
  [squareAvg, gradAvg]: readonly [Float32Array, Float32Array],
  i: number,
  factor: number,
  grad: number,
): number {
  const raised = -gradLimit > grad ? -gradLimit : grad;
  const seen = gradLimit < raised ? gradLimit : raised;
  const square = f(f(alpha * squareAvg[i]!) + f(f(oneMinusAlpha * seen) * seen));
  squareAvg[i] = largest < square ? largest : square;
  gradAvg[i] = f(alpha * gradAvg[i]!) + f(oneMinusAlpha * seen);
  const variance = f(squareAvg[i]! - f(gradAvg[i]! * gradAvg[i]!));
  return f(f(factor * seen) / f(f(Math.sqrt(0 > variance ? 0 : variance)) + eps));
}

export const rmsprop = {
  name: 'RMSprop',
  reference:
    'Tieleman & Hinton, "Lecture 6.5: RMSProp", 2012, https://www.cs.toronto.edu/~hinton/coursera/lecture6/lec6.pdf; centered: Graves 2013, eq. 38–45, https://arxiv.org/abs/1308.0850',
  formula: [
    's ← α·s + (1−α)·g²',
    'w ← w − η·g / (√s + ε)',
    'centered: a ← α·a + (1−α)·g;  √max(s − a², 0) for √s',
    'momentum μ: b ← μ·b + g / (√s + ε);  w ← w − η·b',
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Decay rate of the moving average of g² and, with centered, of g. */
    alpha: { default: 0.99, range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Momentum factor; 0 disables momentum. */
    momentum: { default: 0, range: '[0, 1)' },
    /** Divide by the standard deviation of g instead of its root mean square. */
    centered: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    rmsprop: kernel({
      state: ['squareAvg'],
      constants: ['lr', 'alpha', 'oneMinusAlpha', 'eps'],
      reference:
        ([lr, alpha, oneMinusAlpha, eps], [squareAvg]) =>
        (i, param, grad) => {
          squareAvg[i] = f(alpha * squareAvg[i]!) + f(f(oneMinusAlpha * grad) * grad);
          return param - f(f(lr * grad) / f(f(Math.sqrt(squareAvg[i]!)) + eps));
        },
    }),
    'rmsprop-momentum': kernel({
      state: ['squareAvg', 'momentumBuffer'],
      constants: ['lr', 'alpha', 'oneMinusAlpha', 'eps', 'momentum'],
      reference:
        ([lr, alpha, oneMinusAlpha, eps, momentum], [squareAvg, momentumBuffer]) =>
        (i, param, grad) => {
          squareAvg[i] = f(alpha * squareAvg[i]!) + f(f(oneMinusAlpha * grad) * grad);
          momentumBuffer[i] = f(momentum * momentumBuffer[i]!) + f(grad / f(f(Math.sqrt(squareAvg[i]!)) + eps));
          return param - f(lr * momentumBuffer[i]!);
        },
    }),
    'rmsprop-centered': kernel({
      state: ['squareAvg', 'gradAvg'],
      constants: centered,
      reference: (constants, averages) => (i, param, grad) =>
        param - normalized(constants, averages, i, constants[0], grad),
    }),
    'rmsprop-centered-momentum': kernel({
      state: ['squareAvg', 'gradAvg', 'momentumBuffer'],
      constants: centered,
      reference:
        (constants, [squareAvg, gradAvg, momentumBuffer]) =>
        (i, param, grad) => {
          const [lr, , , , momentum] = constants;
          const pull = normalized(constants, [squareAvg, gradAvg], i, 1, grad);
          momentumBuffer[i] = f(momentum * momentumBuffer[i]!) + pull;
          return param - f(lr * momentumBuffer[i]!);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link RMSprop}. @interface */
export type RMSpropOptions = OptionsOf<typeof rmsprop>;
type Resolved = ResolvedOf<typeof rmsprop>;

/**
 * RMSprop: divides the gradient by the square root of a moving average of its square.
 *
 * ```
 * s ← α·s + (1−α)·g²;   w ← w − η·g / (√s + ε)
 * centered   a ← α·a + (1−α)·g;  √max(s − a², 0) in place of √s
 * momentum   b ← μ·b + g / (√s + ε);  w ← w − η·b
 * ```
 * With `centered`, |g| is clamped to 1.8e19/√(1−α), because a larger square would make the variance ∞ − ∞.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `alpha` (α, 0.99, [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `momentum` (μ, 0, [0, 1)),
 * `centered` (false), `weightDecay` (0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `squareAvg` (s), with `centered` `gradAvg` (a), with `momentum` `momentumBuffer` (b). A step updates the
 * params and the state in place.
 *
 * @remarks
 * **When:** Targets that move: recurrent networks, reinforcement learning.
 *
 * **Pitfalls:** There is no bias correction. The first steps are up to lr/√(1−alpha) long, 10·lr by default, so use a
 * warm-up. eps is outside the root; TensorFlow.js and Keras have it inside.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { RMSprop } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new RMSprop(w, { lr: 1e-3, momentum: 0.9 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Tieleman & Hinton 2012, https://www.cs.toronto.edu/~hinton/coursera/lecture6/lec6.pdf; centered: Graves 2013,
 *   eq. 38–45, https://arxiv.org/abs/1308.0850
 */
export class RMSprop<const P extends ParamsOf<typeof rmsprop> = AnyParams> extends Optimizer<typeof rmsprop, P> {
  static readonly optimizerName: string = rmsprop.name;
  static readonly defaults: DefaultsOf<typeof rmsprop> = defaultsOf(rmsprop);

  constructor(params: Given<P, typeof rmsprop>, options: RMSpropOptions = {}) {
    super(rmsprop, params, options);
  }

  protected override kernel({ centered, momentum }: Resolved, _shape: Shape, has: (state: string) => boolean): string {
    const isPlain = momentum === 0 && !has('momentumBuffer');
    return `rmsprop${centered ? '-centered' : ''}${isPlain ? '' : '-momentum'}`;
  }

  protected override constants({ lr, alpha, eps, momentum }: Resolved): number[] {
    // A little below the root, so that (1 − α)·gradLimit² is finite in spite of roundings.
    const gradLimit = 0.99 * Math.sqrt(largest / (1 - alpha));
    return [lr, alpha, 1 - alpha, eps, momentum, gradLimit];
  }
}
