import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const optimisticAdam = {
  name: 'OptimisticAdam',
  reference:
    'Daskalakis et al., "Training GANs with Optimism", ICLR 2018, Algorithm 1, https://arxiv.org/abs/1711.00141',
  formula: [
    'w ← w·(1 − η·λ)',
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²;  u = (m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
    "w ← w − η·((α+β)·u − β·u');  u' ← u;  u' = u at t = 1",
    'nesterov: u = (β₁·m/(1−β₁ᵗ⁺¹) + (1−β₁)·g/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
  ],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Weight of the update. */
    alpha: { default: 1, range: '[0, inf)' },
    /** Weight of the difference from the previous update. */
    beta: { default: 1, range: '[0, inf)' },
    /** Use Nesterov momentum. */
    nesterov: { default: false },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'optimistic-adam': kernel({
      state: ['expAvg', 'expAvgSq', 'previousUpdate'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'momentWeight',
        'gradWeight',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'updateStep',
        'previousStep',
        'hasPrevious',
      ],
      reference:
        (
          [
            beta1,
            oneMinusBeta1,
            beta2,
            oneMinusBeta2,
            momentWeight,
            gradWeight,
            inverseBiasCorrection2Sqrt,
            eps,
            updateStep,
            previousStep,
            hasPrevious,
          ],
          [expAvg, expAvgSq, previousUpdate],
        ) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const numerator = f(f(momentWeight * expAvg[i]!) + f(gradWeight * grad));
          const update = f(numerator / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
          const previous = hasPrevious > 0 ? previousUpdate[i]! : update;
          previousUpdate[i] = update;
          return param - f(f(updateStep * update) - f(previousStep * previous));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link OptimisticAdam}. @interface */
export type OptimisticAdamOptions = OptionsOf<typeof optimisticAdam>;
type Resolved = ResolvedOf<typeof optimisticAdam>;

/**
 * OptimisticAdam: {@link Adam} that expects the next update to change as the last one did. It converges in games, such
 * as GANs, where Adam circles.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²;   u = (m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * w ← w − η·((α+β)·u − β·u');   u' ← u
 * ```
 * u' is the previous update, and u itself at t = 1. `nesterov: true` has `β₁·m/(1−β₁ᵗ⁺¹) + (1−β₁)·g/(1−β₁ᵗ)` as the
 * numerator of u, as optax does by default.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `alpha` (α, 1, [0,
 * ∞)), `beta` (β, 1, [0, ∞)), `nesterov` (false), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s), `previousUpdate` (u'). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** GANs and other min-max problems, with `betas: [0.5, 0.9]` in the paper.
 *
 * **Pitfalls:** A step moves by up to (α + 2·β)·lr, three times Adam's. For one loss it gains nothing over {@link
 * Adam}.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { OptimisticAdam } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new OptimisticAdam(w, { lr: 0.1, betas: [0.5, 0.9] }).step(new Float32Array([0.5, 0, -0.5])); // w is about [0.9, 2, 3.1]
 * ```
 * @see Daskalakis et al. 2018, Algorithm 1, https://arxiv.org/abs/1711.00141
 */
export class OptimisticAdam<const P extends ParamsOf<typeof optimisticAdam> = AnyParams> extends Optimizer<
  typeof optimisticAdam,
  P
> {
  static readonly optimizerName: string = optimisticAdam.name;
  static readonly defaults: DefaultsOf<typeof optimisticAdam> = defaultsOf(optimisticAdam);

  constructor(params: Given<P, typeof optimisticAdam>, options: OptimisticAdamOptions = {}) {
    super(optimisticAdam, params, options);
  }

  protected override constants({ lr, betas, eps, alpha, beta, nesterov }: Resolved, t: number): number[] {
    const [beta1, beta2] = betas;
    const biasCorrection1 = 1 - power(beta1, t);
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      nesterov ? beta1 / (1 - power(beta1, t + 1)) : 1 / biasCorrection1,
      nesterov ? (1 - beta1) / biasCorrection1 : 0,
      1 / Math.sqrt(1 - power(beta2, t)),
      eps,
      lr * (alpha + beta),
      lr * beta,
      t === 1 ? 0 : 1,
    ];
  }
}
