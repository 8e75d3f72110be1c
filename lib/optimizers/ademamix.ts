import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
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
    cautiousFormula,
  ],
  // η·λ·w inside the update equals w·(1 − η·λ) before it.
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the fast average of g, the average of g², and the slow average of g. */
    betas: { default: [0.9, 0.999, 0.9999], range: '[0, 1)' },
    /** Weight of the slow average in the update. */
    alpha: { default: 5, range: '[0, inf)' },
    /** Steps over which alpha grows linearly from 0; 0 disables the warm-up. */
    alphaSteps: { default: 0, range: '[0, inf)', integer: true, fixed: true },
    /** Steps over which β₃ grows from betas[0] to betas[2]; 0 disables the warm-up. */
    beta3Steps: { default: 0, range: '[0, inf)', integer: true, fixed: true },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: withCautious({
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
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const mixed = f(f(fastStep * expAvgFast[i]!) + f(slowStep * expAvgSlow[i]!));
          return param - f(mixed / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
        },
    }),
  }),
} as const satisfies Declaration;

/** Options of {@link AdEMAMix}. @interface */
export type AdEMAMixOptions = OptionsOf<typeof ademamix>;
type Resolved = ResolvedOf<typeof ademamix>;

/** β₃ at step t: interpolates 1/ln β linearly from β₁ to β₃. A decay rate of 0 is correct too: its 1/ln β is −0. */
function beta3At({ betas, beta3Steps }: Resolved, t: number): number {
  const beta1 = betas[0];
  const beta3 = betas[2];
  if (t >= beta3Steps) return beta3;
  const progress = t / beta3Steps;
  return Math.min(Math.exp(1 / ((1 - progress) / Math.log(beta1) + progress / Math.log(beta3))), beta3);
}

/**
 * AdEMAMix: {@link AdamW} with a second, much slower average of the gradient, which has no bias correction.
 *
 * ```
 * m₁ ← β₁·m₁ + (1−β₁)·g;   m₂ ← β₃(t)·m₂ + (1−β₃(t))·g;   s ← β₂·s + (1−β₂)·g²
 * w ← w − η·((m₁/(1−β₁ᵗ) + α(t)·m₂) / (√(s/(1−β₂ᵗ)) + ε) + λ·w)
 * α(t) = min(t·α/T, α);   β₃(t) = min(exp(ln β₁·ln β₃ / ((1−t/T)·ln β₃ + (t/T)·ln β₁)), β₃)
 * ```
 * T is `alphaSteps` in α(t) and `beta3Steps` in β₃(t). Set both to the length of the run; 0 disables the warm-up.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999, 0.9999], each in [0, 1)), `alpha` (α, 5, [0, ∞)), `alphaSteps`
 * (0, an integer in [0, ∞)), `beta3Steps` (0, an integer in [0, ∞)), `eps` (ε, 1e-8, [0, ∞)), `weightDecay` (λ, 0,
 * [0, ∞), decoupled), `cautious` (false, see {@link Adam}). `alphaSteps` and `beta3Steps` cannot be Schedules.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvgFast` (m₁), `expAvgSlow` (m₂), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Long runs on a lot of data: the slow average uses gradients that are tens of thousands of steps old.
 *
 * **Pitfalls:** It keeps 12 bytes of state per weight. Set `alphaSteps` and `beta3Steps` to the length of the run;
 * without them the slow average can make the start unstable.
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
export class AdEMAMix<const P extends ParamsOf<typeof ademamix> = AnyParams> extends Optimizer<typeof ademamix, P> {
  static readonly optimizerName: string = ademamix.name;
  static readonly defaults: DefaultsOf<typeof ademamix> = defaultsOf(ademamix);

  constructor(params: Given<P, typeof ademamix>, options: AdEMAMixOptions = {}) {
    super(ademamix, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'ademamix-cautious' : 'ademamix';
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    const { lr, betas, alpha, alphaSteps, eps } = resolved;
    const beta1 = betas[0];
    const beta2 = betas[1];
    const beta3 = beta3At(resolved, t);
    const alphaT = t < alphaSteps ? (t * alpha) / alphaSteps : alpha;
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      beta3,
      1 - beta3,
      lr / (1 - power(beta1, t)),
      lr * alphaT,
      1 / Math.sqrt(1 - power(beta2, t)),
      eps,
    ];
  }
}
