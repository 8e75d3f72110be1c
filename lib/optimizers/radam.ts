import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const radam = {
  name: 'RAdam',
  reference:
    'Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, Algorithm 2, https://arxiv.org/abs/1908.03265',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²;  ρ∞ = 2/(1−β₂) − 1;  ρₜ = ρ∞ − 2·t·β₂ᵗ/(1−β₂ᵗ)',
    'ρₜ > 5: w ← w − η·r·m/(1−β₁ᵗ) · √(1−β₂ᵗ)/(√s + ε),  r = √((ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ))',
    'else: w ← w − η·m/(1−β₁ᵗ)',
    'decoupledWeightDecay: w ← w·(1 − η·λ) first',
    cautiousFormula,
  ],
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'decoupled' : 'l2'),
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: false },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: withCautious({
    radam: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: ['beta1', 'oneMinusBeta1', 'beta2', 'oneMinusBeta2', 'stepSize', 'eps', 'rectified'],
      reference:
        ([beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, eps, rectified], [expAvg, expAvgSq]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const denominator = rectified > 0 ? f(f(Math.sqrt(expAvgSq[i]!)) + eps) : 1;
          return param - f(f(stepSize * expAvg[i]!) / denominator);
        },
    }),
  }),
} as const satisfies Declaration;

/** Options of {@link RAdam}. @interface */
export type RAdamOptions = OptionsOf<typeof radam>;
type Resolved = ResolvedOf<typeof radam>;

/**
 * RAdam: {@link Adam} that shortens its steps while it has seen too few gradients to estimate their variance.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²;   ρ∞ = 2/(1−β₂) − 1;   ρₜ = ρ∞ − 2·t·β₂ᵗ/(1−β₂ᵗ)
 * ρₜ > 5   w ← w − η·r·m/(1−β₁ᵗ) · √(1−β₂ᵗ)/(√s + ε),   r = √((ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ))
 * else     w ← w − η·m/(1−β₁ᵗ)
 * ```
 * The first steps (ρₜ ≤ 5) are plain momentum, without the division by √s.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `weightDecay` (0,
 * [0, ∞), L2), `decoupledWeightDecay` (false; true: `weightDecay` acts as in AdamW), `cautious` (false,
 * see {@link Adam}).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link Adam}, when you do not want to tune a warm-up.
 *
 * **Pitfalls:** The first steps, five with the default betas, are plain momentum steps of lr · m, without the division
 * by √s. If gradients are large, set `clipNorm`. `weightDecay` is L2 unless `decoupledWeightDecay` is true.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { RAdam } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new RAdam(w, { lr: 3e-4 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Liu et al. 2020, Algorithm 2, https://arxiv.org/abs/1908.03265
 */
export class RAdam<const P extends ParamsOf<typeof radam> = AnyParams> extends Optimizer<typeof radam, P> {
  static readonly optimizerName: string = radam.name;
  static readonly defaults: DefaultsOf<typeof radam> = defaultsOf(radam);

  constructor(params: Given<P, typeof radam>, options: RAdamOptions = {}) {
    super(radam, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'radam-cautious' : 'radam';
  }

  protected override constants({ lr, betas: [beta1, beta2], eps }: Resolved, t: number): number[] {
    const beta2Power = power(beta2, t);
    const rhoInf = 2 / (1 - beta2) - 1;
    const rho = rhoInf - (2 * t * beta2Power) / (1 - beta2Power);
    const rectified = rho > 5;
    const rectification = Math.sqrt(((rho - 4) * (rho - 2) * rhoInf) / ((rhoInf - 4) * (rhoInf - 2) * rho));
    const stepSize = (lr / (1 - power(beta1, t))) * (rectified ? rectification * Math.sqrt(1 - beta2Power) : 1);
    return [beta1, 1 - beta1, beta2, 1 - beta2, stepSize, eps, rectified ? 1 : 0];
  }
}
