import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adabelief = {
  name: 'AdaBelief',
  reference:
    'Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS 2020, Algorithm 2, https://arxiv.org/abs/2010.07468',
  formula: [
    'w ← w·(1 − η·λ)',
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·(g − m)² + ε',
    'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
    'rectify, ρₜ and r as in RAdam: ρₜ ≥ 5: w ← w − η·r·m/(1−β₁ᵗ) · √(1−β₂ᵗ)/(√s + ε);  else: w ← w − η·m/(1−β₁ᵗ)',
  ],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and of (g − m)². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to s in each step, and to the denominator. */
    eps: { default: 1e-16, range: '[0, inf)' },
    /** Shorten the first steps as RAdam does. */
    rectify: { default: false },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adabelief: kernel({
      state: ['expAvg', 'expAvgVar'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'stepSize',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'adaptive',
      ],
      reference:
        (
          [beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps, adaptive],
          [expAvg, expAvgVar],
        ) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          const surprise = f(grad - expAvg[i]!);
          expAvgVar[i] = f(f(beta2 * expAvgVar[i]!) + f(f(oneMinusBeta2 * surprise) * surprise)) + eps;
          const root = f(f(f(Math.sqrt(expAvgVar[i]!)) * inverseBiasCorrection2Sqrt) + eps);
          return param - f(f(stepSize * expAvg[i]!) / (adaptive > 0 ? root : 1));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link AdaBelief}. @interface */
export type AdaBeliefOptions = OptionsOf<typeof adabelief>;
type Resolved = ResolvedOf<typeof adabelief>;

/**
 * AdaBelief: {@link Adam} that divides by the deviation of the gradient from its moving average, not by its size. A
 * gradient close to the average gives a larger step.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·(g − m)² + ε
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * The ε in s stays there, so s grows by up to ε/(1−β₂). `rectify: true` shortens the first steps with the ρₜ and r of
 * {@link RAdam}: while ρₜ < 5, `w ← w − η·m/(1−β₁ᵗ)`, then `w ← w − η·r·m/(1−β₁ᵗ) · √(1−β₂ᵗ)/(√s + ε)`.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-16, [0, ∞)), `rectify` (false),
 * `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgVar` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link AdamW}, on image classifiers, GANs and small transformers.
 *
 * **Pitfalls:** The Python package adabelief-pytorch has `rectify` on by default. `eps` enters s itself: 1e-16 here is
 * like 1e-8 in Adam. If the gradient is nearly constant, g − m is almost 0 and the steps become far longer than `lr`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { AdaBelief } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new AdaBelief(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is about [0.89, 2, 3.11]
 * ```
 * @see Zhuang et al. 2020, Algorithm 2, https://arxiv.org/abs/2010.07468
 */
export class AdaBelief<const P extends ParamsOf<typeof adabelief> = AnyParams> extends Optimizer<typeof adabelief, P> {
  static readonly optimizerName: string = adabelief.name;
  static readonly defaults: DefaultsOf<typeof adabelief> = defaultsOf(adabelief);

  constructor(params: Given<P, typeof adabelief>, options: AdaBeliefOptions = {}) {
    super(adabelief, params, options);
  }

  protected override constants({ lr, betas: [beta1, beta2], eps, rectify }: Resolved, t: number): number[] {
    const beta2Power = power(beta2, t);
    const unbiased = lr / (1 - power(beta1, t));
    const moments = [beta1, 1 - beta1, beta2, 1 - beta2] as const;
    if (!rectify) return [...moments, unbiased, 1 / Math.sqrt(1 - beta2Power), eps, 1];
    const rhoInf = 2 / (1 - beta2) - 1;
    const rho = rhoInf - (2 * t * beta2Power) / (1 - beta2Power);
    if (rho < 5) return [...moments, unbiased, 1, eps, 0];
    const rectification = Math.sqrt(((rho - 4) * (rho - 2) * rhoInf) / ((rhoInf - 4) * (rhoInf - 2) * rho));
    return [...moments, unbiased * rectification * Math.sqrt(1 - beta2Power), 1, eps, 1];
  }
}
