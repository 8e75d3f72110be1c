import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const optimisticGradientDescent = {
  name: 'OptimisticGradientDescent',
  reference:
    'Mokhtari, Ozdaglar & Pattathil, "A Unified Analysis of Extra-gradient and Optimistic Gradient Methods for Saddle Point Problems", 2019, https://arxiv.org/abs/1901.08511',
  formula: ['w ← w·(1 − η·λ)', "w ← w − η·((α+β)·g − β·g');  g' ← g", "g' = g at t = 1"],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 0.1, range: '[0, inf)' },
    /** Weight of the gradient. */
    alpha: { default: 1, range: '[0, inf)' },
    /** Weight of the difference from the previous gradient. */
    beta: { default: 1, range: '[0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'optimistic-gradient-descent': kernel({
      state: ['previousGrad'],
      constants: ['gradStep', 'previousStep', 'hasPrevious'],
      reference:
        ([gradStep, previousStep, hasPrevious], [previousGrad]) =>
        (i, param, grad) => {
          const previous = hasPrevious > 0 ? previousGrad[i]! : grad;
          previousGrad[i] = grad;
          return param - f(f(gradStep * grad) - f(previousStep * previous));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link OptimisticGradientDescent}. @interface */
export type OptimisticGradientDescentOptions = OptionsOf<typeof optimisticGradientDescent>;
type Resolved = ResolvedOf<typeof optimisticGradientDescent>;

/**
 * OptimisticGradientDescent: gradient descent that expects the next gradient to change as the last one did. It
 * converges in games, such as min-max problems, where plain gradient descent circles.
 *
 * ```
 * w ← w·(1 − η·λ)
 * w ← w − η·((α+β)·g − β·g');   g' ← g
 * ```
 * g' is the previous gradient, and g itself at t = 1.
 *
 * Options: `lr` (η, 0.1, [0, ∞)), `alpha` (α, 1, [0, ∞)), `beta` (β, 1, [0, ∞)), `weightDecay` (λ, 0, [0, ∞),
 * decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `previousGrad` (g'). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Two players: GANs and other min-max problems, one optimizer for each or one for both. {@link
 * OptimisticAdam} is the adaptive form.
 *
 * **Pitfalls:** With noisy gradients the difference adds noise: each step sees 2·g − g'. For one loss it gains nothing
 * over {@link SGD}.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { OptimisticGradientDescent } from 'schuss';
 * const x = new Float32Array([1]), y = new Float32Array([1]); // min over x, max over y of x·y
 * const optimizer = new OptimisticGradientDescent([x, y], { lr: 0.2 });
 * for (let step = 0; step < 100; step++) optimizer.step([Float32Array.of(y[0]), Float32Array.of(-x[0])]); // both near 0
 * ```
 * @see Mokhtari, Ozdaglar & Pattathil 2019, https://arxiv.org/abs/1901.08511
 */
export class OptimisticGradientDescent<
  const P extends ParamsOf<typeof optimisticGradientDescent> = AnyParams,
> extends Optimizer<typeof optimisticGradientDescent, P> {
  static readonly optimizerName: string = optimisticGradientDescent.name;
  static readonly defaults: DefaultsOf<typeof optimisticGradientDescent> = defaultsOf(optimisticGradientDescent);

  constructor(params: Given<P, typeof optimisticGradientDescent>, options: OptimisticGradientDescentOptions = {}) {
    super(optimisticGradientDescent, params, options);
  }

  protected override constants({ lr, alpha, beta }: Resolved, t: number): number[] {
    return [lr * (alpha + beta), lr * beta, t === 1 ? 0 : 1];
  }
}
