import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adadelta = {
  name: 'Adadelta',
  reference: 'Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, Algorithm 1, https://arxiv.org/abs/1212.5701',
  formula: ['s ← ρ·s + (1−ρ)·g²;  Δ ← g·√(u + ε) / √(s + ε)', 'u ← ρ·u + (1−ρ)·Δ²;  w ← w − η·Δ'],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate: multiplies the step that the method computes. */
    lr: { default: 1, range: '[0, inf)' },
    /** Decay rate of the moving averages of g² and Δ². */
    rho: { default: 0.9, range: '[0, 1)' },
    /** Added inside both square roots. With 0, every step is 0. */
    eps: { default: 1e-6, range: '[0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adadelta: kernel({
      state: ['squareAvg', 'accDelta'],
      constants: ['lr', 'rho', 'oneMinusRho', 'eps'],
      reference:
        ([lr, rho, oneMinusRho, eps], [squareAvg, accDelta]) =>
        (i, param, grad) => {
          squareAvg[i] = f(rho * squareAvg[i]!) + f(f(oneMinusRho * grad) * grad);
          const ratio = f(f(Math.sqrt(f(accDelta[i]! + eps))) / f(Math.sqrt(f(squareAvg[i]! + eps))));
          const delta = f(ratio * grad);
          accDelta[i] = f(rho * accDelta[i]!) + f(f(oneMinusRho * delta) * delta);
          return param - f(lr * delta);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adadelta}. @interface */
export type AdadeltaOptions = OptionsOf<typeof adadelta>;
type Resolved = ResolvedOf<typeof adadelta>;

/**
 * Adadelta: multiplies the gradient by the ratio of two root mean squares, of past updates and of past gradients.
 *
 * ```
 * s ← ρ·s + (1−ρ)·g²;   Δ ← g·√(u + ε) / √(s + ε)
 * u ← ρ·u + (1−ρ)·Δ²;   w ← w − η·Δ
 * ```
 * Options: `lr` (η, 1, [0, ∞)), `rho` (ρ, 0.9, [0, 1)), `eps` (ε, 1e-6, [0, ∞)), `weightDecay` (0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `squareAvg` (s), `accDelta` (u). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Problems where you do not want to search for a learning rate.
 *
 * **Pitfalls:** It starts slowly, because the first updates are about √(eps/(1−rho)) long. A larger `eps` starts
 * faster. `lr` is a factor, 1 by default; with TensorFlow.js's 1e-3 it hardly moves.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Adadelta } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Adadelta(w, { rho: 0.95 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Zeiler 2012, Algorithm 1, https://arxiv.org/abs/1212.5701
 */
export class Adadelta<const P extends ParamsOf<typeof adadelta> = AnyParams> extends Optimizer<typeof adadelta, P> {
  static readonly optimizerName: string = adadelta.name;
  static readonly defaults: DefaultsOf<typeof adadelta> = defaultsOf(adadelta);

  constructor(params: Given<P, typeof adadelta>, options: AdadeltaOptions = {}) {
    super(adadelta, params, options);
  }

  protected override constants({ lr, rho, eps }: Resolved): number[] {
    return [lr, rho, 1 - rho, eps];
  }
}
