import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { LossOptimizer } from '../core/loss-optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const polyakSgd = {
  name: 'PolyakSGD',
  reference:
    'Loizou, Vaswani, Laradji & Lacoste-Julien, "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence", AISTATS 2021, equation 2, https://arxiv.org/abs/2002.10542',
  formula: [
    'over all params: e = min((f − fMin)/(‖g‖² + ε), maxLr), 0 where ‖g‖² + ε ≤ 2⁻⁵²',
    'with variant sps+: f − fMin is at least 0',
    'w ← w·(1 − η·e·λ) − η·e·g',
  ],
  decay: 'none',
  denseOnly: 'PolyakSGD needs the norm of the whole gradient',
  hyperParameters: {
    /** Multiplies the step size that the method finds. Leave it at 1, or set a schedule. */
    lr: { default: 1, range: '[0, inf)' },
    /** Upper bound on the step size e. */
    maxLr: { default: 1, range: '(0, inf]' },
    /** The minimum of the loss, or a lower bound on it. */
    fMin: { default: 0 },
    /** Added to ‖g‖². */
    eps: { default: 0, range: '[0, inf)' },
    /** `'sps+'`: a loss below `fMin` moves nothing. `'sps'`: it moves the params uphill. */
    variant: { default: 'sps', choices: ['sps', 'sps+'] },
    /** Decoupled weight decay by the rate that the method finds: multiplies w by 1 − lr · e · weightDecay. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'polyak-sgd': kernel({
      state: [],
      constants: ['lr', 'weightDecay', 'rate', 'decayFactor'],
      numbers: {
        names: ['stepSize', 'gap', 'maxLr', 'eps'],
        sums: 1,
        measure: () => (_i, _param, grad, add) => add(0, grad, grad),
        decide: ([, gap, maxLr, eps], [square]) => {
          const divisor = square! + eps;
          if (divisor <= Number.EPSILON) return [0, gap, maxLr, eps];
          const stepSize = gap / divisor;
          return [stepSize > maxLr ? maxLr : stepSize, gap, maxLr, eps]; // lets NaN through
        },
        resolve: ([lr, weightDecay], [stepSize]) => {
          const rate = lr * stepSize;
          return [lr, weightDecay, rate, 1 - rate * weightDecay];
        },
      },
      reference:
        ([, , rate, decayFactor]) =>
        (_, param, grad) =>
          f(decayFactor * param) - f(rate * grad),
    }),
  },
  needsLoss: true,
  scope: 'optimizer',
  scalars: { stepSize: 0 },
} as const satisfies Declaration;

/** Options of {@link PolyakSGD}. @interface */
export type PolyakSGDOptions = OptionsOf<typeof polyakSgd>;
type Resolved = ResolvedOf<typeof polyakSgd>;

/**
 * PolyakSGD: gradient descent with the Polyak step size, which is the distance of the loss from its minimum, divided by
 * ‖g‖².
 *
 * ```
 * over all params: e = min((f − fMin)/(‖g‖² + ε), maxLr), 0 where ‖g‖² + ε ≤ 2⁻⁵²
 * with variant 'sps+': f − fMin is at least 0
 * w ← w·(1 − η·e·λ) − η·e·g
 * ```
 * Each step needs the loss f: `step(grads, { loss })`. Its gradient must be `grads` after `gradScale`. With `maximize`,
 * f is −loss. e belongs to the whole optimizer and is readable as `stepSize`.
 *
 * Options: `lr` (η, 1, [0, ∞)), `maxLr` (1, (0, ∞]), `fMin` (0), `eps` (ε, 0, [0, ∞)), `variant` ('sps' or 'sps+'),
 * `weightDecay` (λ, 0, [0, ∞), decoupled with the rate η·e). e uses the `maxLr`, `fMin`, `eps` and `variant` of the
 * first group. All groups need the same `maximize`.
 *
 * A group with lr 0 does not move, but its gradients enter ‖g‖². Pass `null` gradients to leave it out.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer. `skipNonFinite` also skips a step whose loss is not finite.
 *
 * State: no arrays; the number `stepSize` (e), the same in each param. A step updates the params in place.
 *
 * @remarks
 * **When:** Models that can reach a loss near 0, such as interpolating networks and separable problems. There is no
 * learning rate to tune.
 *
 * **Pitfalls:** If the minimum of the loss is well above `fMin`, the steps stay too long near the minimum. Then raise
 * `fMin` or lower `maxLr`. With noisy mini-batches, let a schedule lower `lr`. Clipped gradients are no longer the
 * gradients of the loss. It takes no sparse gradients. optax multiplies by `scaling` inside its rule; here that is
 * `lr`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params. A
 *   step throws a TypeError without a loss, and a RangeError for a loss that is not finite or for groups that differ in
 *   `maximize`.
 * @example
 * ```ts
 * import { PolyakSGD } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * const optimizer = new PolyakSGD(w, { maxLr: 10 });
 * const loss = w[0] ** 2 + w[1] ** 2; // 25, with the gradient 2·w
 * optimizer.step(w.map((x) => 2 * x), { loss }); // w is [1.5, 2]
 * console.log(optimizer.stepSize); // 0.25: 25/(6² + 8²)
 * ```
 * @see Loizou et al. 2021, equation 2, https://arxiv.org/abs/2002.10542
 */
export class PolyakSGD<const P extends ParamsOf<typeof polyakSgd> = AnyParams> extends LossOptimizer<
  typeof polyakSgd,
  P
> {
  static readonly optimizerName: string = polyakSgd.name;
  static readonly defaults: DefaultsOf<typeof polyakSgd> = defaultsOf(polyakSgd);

  constructor(params: Given<P, typeof polyakSgd>, options: PolyakSGDOptions = {}) {
    super(polyakSgd, params, options);
  }

  /** The step size e of the last step, before lr; 0 before the first one. */
  get stepSize(): number {
    return this.firstScalars[0] ?? 0;
  }

  protected override constants({ lr, weightDecay }: Resolved): number[] {
    return [lr, weightDecay, 0, 1]; // the numbers give the rate and the decay
  }

  protected override inputs(groups: readonly Resolved[], _t: number, _scalars: readonly number[], loss: number) {
    const { maxLr, fMin, eps, variant } = groups[0]!;
    const gap = this.objective(groups, loss) - fMin;
    return [variant === 'sps+' && gap < 0 ? 0 : gap, maxLr, eps];
  }
}
