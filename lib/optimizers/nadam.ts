import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power, rememberedPow } from '../core/power.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const nadam = {
  name: 'NAdam',
  reference:
    'Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016, Algorithm 2, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²;  μₜ = β₁·(1 − ½·0.96^(t·ψ));  Π ← Π·μₜ',
    'w ← w − η·((1−μₜ)·g/(1−Π) + μₜ₊₁·m/(1−Π·μₜ₊₁)) / (√(s/(1−β₂ᵗ)) + ε)',
    'decoupledWeightDecay: w ← w·(1 − η·λ) first',
    cautiousFormula,
  ],
  decay: ({ decoupledWeightDecay }) => (decoupledWeightDecay ? 'decoupled' : 'l2'),
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 2e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** ψ: how fast the momentum grows from β₁/2 to β₁. */
    momentumDecay: { default: 4e-3, range: '[0, inf)' },
    /** L2 penalty, or with `decoupledWeightDecay` decoupled weight decay. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Decay the weights directly, as AdamW does, instead of through the gradient. */
    decoupledWeightDecay: { default: false },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: withCautious({
    nadam: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'gradStep',
        'momentStep',
        'inverseBiasCorrection2Sqrt',
        'eps',
      ],
      reference:
        (
          [beta1, oneMinusBeta1, beta2, oneMinusBeta2, gradStep, momentStep, inverseBiasCorrection2Sqrt, eps],
          [expAvg, expAvgSq],
        ) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const ahead = f(f(gradStep * grad) + f(momentStep * expAvg[i]!));
          return param - f(ahead / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
        },
    }),
  }),
  // Π, the product of all μ so far, for the bias correction.
  scalars: { muProduct: 1 },
} as const satisfies Declaration;

/** Options of {@link NAdam}. @interface */
export type NAdamOptions = OptionsOf<typeof nadam>;
type Resolved = ResolvedOf<typeof nadam>;

/** The momentum μₜ of step t. */
function momentumAt({ betas, momentumDecay }: Resolved, t: number): number {
  return betas[0] * (1 - 0.5 * power(rememberedPow(0.96, momentumDecay), t)); // 0.96^(t·ψ)
}

/**
 * NAdam: {@link Adam} with Nesterov momentum, and a momentum μ that grows over the steps.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²;   μₜ = β₁·(1 − ½·0.96^(t·ψ));   Π ← Π·μₜ
 * w ← w − η·((1−μₜ)·g/(1−Π) + μₜ₊₁·m/(1−Π·μₜ₊₁)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * This is PyTorch's formula since 2.0. Earlier versions multiplied Π·μₜ₊₁ by μₜ once too often.
 *
 * Options: `lr` (η, 2e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `momentumDecay` (ψ,
 * 4e-3, [0, ∞)), `weightDecay` (0, [0, ∞), L2), `decoupledWeightDecay` (false; true: `weightDecay` acts as in AdamW),
 * `cautious` (false, see {@link Adam}).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s), and the number `muProduct` (Π). A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** As {@link Adam}, and often somewhat faster in the first epochs.
 *
 * **Pitfalls:** PyTorch before 2.0 and optax have other formulas, so a ported run does not give their numbers.
 * `weightDecay` is L2 unless `decoupledWeightDecay` is true.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { NAdam } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new NAdam(w, { weightDecay: 0.01, decoupledWeightDecay: true }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Dozat 2016, Algorithm 2, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
 */
export class NAdam<const P extends ParamsOf<typeof nadam> = AnyParams> extends Optimizer<typeof nadam, P> {
  static readonly optimizerName: string = nadam.name;
  static readonly defaults: DefaultsOf<typeof nadam> = defaultsOf(nadam);

  constructor(params: Given<P, typeof nadam>, options: NAdamOptions = {}) {
    super(nadam, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'nadam-cautious' : 'nadam';
  }

  protected override constants(resolved: Resolved, t: number, scalars: readonly [number]): number[] {
    const { lr, betas, eps } = resolved;
    const beta1 = betas[0];
    const beta2 = betas[1];
    const mu = momentumAt(resolved, t);
    const nextMu = momentumAt(resolved, t + 1);
    const muProduct = scalars[0] * mu;
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      (lr * (1 - mu)) / (1 - muProduct),
      (lr * nextMu) / (1 - muProduct * nextMu),
      1 / Math.sqrt(1 - power(beta2, t)),
      eps,
    ];
  }

  protected override scalarsAfter(resolved: Resolved, t: number, scalars: readonly [number]): readonly number[] {
    return [scalars[0] * momentumAt(resolved, t)];
  }
}
