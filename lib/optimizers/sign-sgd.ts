import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const signSgd = {
  name: 'SignSGD',
  reference:
    'Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018, Algorithms 1 and 2, https://arxiv.org/abs/1802.04434',
  formula: ['w ← w·(1 − η·λ)', 'm ← μ·m + (1−μ)·g;  w ← w − η·sign(m)'],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate: how far each element moves in a step. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rate of the moving average of g. */
    momentum: { default: 0, range: '[0, 1)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'sign-sgd': kernel({
      state: [],
      constants: ['lr'],
      reference:
        ([lr]) =>
        (_i, param, grad) =>
          param - f(lr * Math.sign(grad)),
    }),
    'sign-sgd-momentum': kernel({
      state: ['expAvg'],
      constants: ['lr', 'momentum', 'oneMinusMomentum'],
      reference:
        ([lr, momentum, oneMinusMomentum], [expAvg]) =>
        (i, param, grad) => {
          expAvg[i] = f(momentum * expAvg[i]!) + f(oneMinusMomentum * grad);
          return param - f(lr * Math.sign(expAvg[i]!));
        },
    }),
  },
} as const satisfies Declaration;

export const signum = {
  ...signSgd,
  name: 'Signum',
  hyperParameters: {
    ...signSgd.hyperParameters,
    /** Decay rate of the moving average of g. */
    momentum: { default: 0.9, range: '[0, 1)' },
  },
  kernels: { 'sign-sgd-momentum': signSgd.kernels['sign-sgd-momentum'] },
} as const satisfies Declaration;

/** Options of {@link SignSGD}. @interface */
export type SignSGDOptions = OptionsOf<typeof signSgd>;
/** Options of {@link Signum}. @interface */
export type SignumOptions = OptionsOf<typeof signum>;
type Resolved = ResolvedOf<typeof signSgd>;

/**
 * SignSGD: moves every element by `lr`, against the sign of its gradient, or of the gradient's moving average.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← μ·m + (1−μ)·g;   w ← w − η·sign(m)
 * ```
 * Options: `lr` (η, 1e-3, [0, ∞)), `momentum` (μ, 0, [0, 1)), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), with `momentum`; else none. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Gradients that are sent over a network as signs, or whose size carries no information. {@link Signum} is
 * the same with momentum.
 *
 * **Pitfalls:** Every weight moves by lr in each step, so the loss stops falling near the minimum: use a schedule that
 * decreases lr. With small batches, the sign of pure noise moves a weight as far as a clear gradient does.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { SignSGD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new SignSGD(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Bernstein et al. 2018, Algorithms 1 and 2, https://arxiv.org/abs/1802.04434
 */
export class SignSGD<const P extends ParamsOf<typeof signSgd> = AnyParams> extends Optimizer<typeof signSgd, P> {
  static readonly optimizerName: string = signSgd.name;
  static readonly defaults: DefaultsOf<typeof signSgd> = defaultsOf(signSgd);

  constructor(params: Given<P, typeof signSgd>, options: SignSGDOptions = {}) {
    super(signSgd, params, options);
  }

  protected override kernel({ momentum }: Resolved, _shape: Shape, has: (state: string) => boolean): string {
    return momentum === 0 && !has('expAvg') ? 'sign-sgd' : 'sign-sgd-momentum';
  }

  protected override constants({ lr, momentum }: Resolved): number[] {
    return [lr, momentum, 1 - momentum];
  }
}

/**
 * Signum: {@link SignSGD} with momentum: moves every element by `lr`, against the sign of the gradient's moving
 * average.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← μ·m + (1−μ)·g;   w ← w − η·sign(m)
 * ```
 * Options: those of {@link SignSGD}, except that `momentum` (μ, [0, 1)) is 0.9.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link Lion}, which steps by an interpolation between the average and the gradient.
 *
 * **Pitfalls:** As those of {@link SignSGD}. A schedule that raises `momentum` to 1 is an error.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Signum } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Signum(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Bernstein et al. 2018, Algorithms 1 and 2, https://arxiv.org/abs/1802.04434
 */
export class Signum<const P extends ParamsOf<typeof signum> = AnyParams> extends Optimizer<typeof signum, P> {
  static readonly optimizerName: string = signum.name;
  static readonly defaults: DefaultsOf<typeof signum> = defaultsOf(signum);

  constructor(params: Given<P, typeof signum>, options: SignumOptions = {}) {
    super(signum, params, options);
  }

  protected override constants({ lr, momentum }: Resolved): number[] {
    return [lr, momentum, 1 - momentum];
  }
}
