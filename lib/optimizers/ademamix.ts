import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Params } from '../core/params.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const ademamix = {
  name: 'AdEMAMix',
  reference:
    'Pagliardini, Ablin & Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", 2024, Algorithm 1, https://arxiv.org/abs/2409.03137',
  formula: [
    'm₁ ← β₁·m₁ + (1−β₁)·g;  m₂ ← β₃(t)·m₂ + (1−β₃(t))·g;  s ← β₂·s + (1−β₂)·g²',
    'w ← w − η·((m₁/(1−β₁ᵗ) + α(t)·m₂) / (√(s/(1−β₂ᵗ)) + ε) + λ·w)',
    'α(t) = min(t·α/T, α) with T alphaSteps;  β₃(t) grows from β₁ to β₃ in beta3Steps, its half-life linearly',
  ],
  // λ·w inside the brackets is w·(1 − η·λ) before them.
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the fast average of g, of the one of g², and of the slow average of g. */
    betas: {
      default: [0.9, 0.999, 0.9999],
      range: '[0, 1)',
    },
    /** Weight of the slow average. */
    alpha: { default: 5, range: '[0, inf)' },
    /** The steps in which alpha grows from 0; 0: none. */
    alphaSteps: {
      default: 0,
      range: '[0, inf)',
      integer: true,
      fixed: true,
    },
    /** The steps in which betas[2] grows from betas[0]; 0: none. */
    beta3Steps: {
      default: 0,
      range: '[0, inf)',
      integer: true,
      fixed: true,
    },
    /** Added to the denominator, outside the root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Shrinks the weights by lr · weightDecay. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    ademamix: kernel({
      state: ['expAvgFast', 'expAvgSlow', 'expAvgSq'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'beta3',
        'oneMinusBeta3',
        'fastStep',
        'slowStep',
        'inverseBiasCorrection2Sqrt',
        'eps',
      ],
      reference:
        (
          [
            beta1,
            oneMinusBeta1,
            beta2,
            oneMinusBeta2,
            beta3,
            oneMinusBeta3,
            fastStep,
            slowStep,
            inverseBiasCorrection2Sqrt,
            eps,
          ],
          [expAvgFast, expAvgSlow, expAvgSq],
        ) =>
        (i, param, grad) => {
          expAvgFast[i] = f(beta1 * expAvgFast[i]!) + f(oneMinusBeta1 * grad);
          expAvgSlow[i] = f(beta3 * expAvgSlow[i]!) + f(oneMinusBeta3 * grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(oneMinusBeta2 * f(grad * grad));
          const mixed = f(f(fastStep * expAvgFast[i]!) + f(slowStep * expAvgSlow[i]!));
          return param - f(mixed / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link AdEMAMix}. @interface */
export type AdEMAMixOptions = OptionsOf<typeof ademamix>;
type Now = ResolvedOf<typeof ademamix>;

/** β₃ in step t: from β₁ on, with 1/ln β growing linearly. A decay rate of 0 has ln −∞, and stays right. */
function slowBeta({ betas: [beta1, , beta3], beta3Steps }: Now, t: number): number {
  if (t >= beta3Steps) return beta3;
  const x = t / beta3Steps;
  return Math.min(Math.exp(1 / ((1 - x) / Math.log(beta1) + x / Math.log(beta3))), beta3);
}

/**
 * AdEMAMix: {@link AdamW} that adds a second, much slower average of the gradient, without bias correction.
 *
 * ```
 * m₁ ← β₁·m₁ + (1−β₁)·g;   m₂ ← β₃(t)·m₂ + (1−β₃(t))·g;   s ← β₂·s + (1−β₂)·g²
 * w ← w − η·((m₁/(1−β₁ᵗ) + α(t)·m₂) / (√(s/(1−β₂ᵗ)) + ε) + λ·w)
 * α(t) = min(t·α/T, α);   β₃(t) = min(exp(ln β₁·ln β₃ / ((1−t/T)·ln β₃ + (t/T)·ln β₁)), β₃)
 * ```
 * `alphaSteps` and `beta3Steps` are the T of α and of β₃, best the length of the whole run; 0: no warm-up.
 *
 * Options: `lr` (1e-3, [0, ∞)), `betas` ([0.9, 0.999, 0.9999], each [0, 1)), `alpha` (5, [0, ∞)), `alphaSteps` (0),
 * `beta3Steps` (0), `eps` (1e-8), `weightDecay` (0, decoupled), `maximize` (false), `clipValue`; for all groups
 * together `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`, `gradNorm`, `flushDenormals`. State: `expAvgFast`,
 * `expAvgSlow`, `expAvgSq`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { AdEMAMix } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const ademamix = new AdEMAMix(w, { betas: [0.9, 0.999, 0.999], alphaSteps: 1000, beta3Steps: 1000 });
 * ademamix.step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Pagliardini, Ablin & Grangier 2024, Algorithm 1, https://arxiv.org/abs/2409.03137
 */
export class AdEMAMix extends Optimizer<typeof ademamix> {
  static readonly optimizerName: string = ademamix.name;
  static readonly defaults: AdEMAMixOptions = defaultsOf(ademamix);

  constructor(params: Params<GroupOptionsOf<typeof ademamix>>, options: AdEMAMixOptions = {}) {
    super(ademamix, params, options);
  }

  protected override constants(now: Now, t: number): number[] {
    const { lr, alpha, alphaSteps, eps } = now;
    const [beta1, beta2] = now.betas;
    const beta3 = slowBeta(now, t);
    const weight = t < alphaSteps ? (t * alpha) / alphaSteps : alpha;
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      beta3,
      1 - beta3,
      lr / (1 - power(beta1, t)),
      lr * weight,
      1 / Math.sqrt(1 - power(beta2, t)),
      eps,
    ];
  }
}
