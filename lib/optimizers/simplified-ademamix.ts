import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { finite } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const simplifiedAdemamix = {
  name: 'SimplifiedAdEMAMix',
  reference:
    'Morwani et al., "Connections between Schedule-Free Optimizers, AdEMAMix, and Accelerated SGD Variants", 2025, https://arxiv.org/abs/2502.02431',
  formula: ['w ← w·(1 − η·λ)', 'm ← β₁·m + g;  s ← β₂·s + (1−β₂)·g²', 'w ← w − η·(m + α·g) / (√(s/(1−β₂ᵗ)) + ε)'],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. The momentum is a sum, so use about 1 − β₁ times that of AdamW. */
    lr: { default: 1e-4, range: '[0, inf)' },
    /** Decay rates of the sum of g and of the moving average of g². */
    betas: { default: [0.99, 0.95], range: '[0, 1)' },
    /** Weight of the gradient beside the sum. */
    alpha: { default: 0, range: '[0, inf)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'simplified-ademamix': kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: ['beta1', 'beta2', 'oneMinusBeta2', 'lr', 'gradStep', 'inverseBiasCorrection2Sqrt', 'eps'],
      reference:
        ([beta1, beta2, oneMinusBeta2, lr, gradStep, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
        (i, param, grad) => {
          expAvg[i] = finite(f(beta1 * expAvg[i]!) + grad);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
          const mixed = f(f(lr * expAvg[i]!) + f(gradStep * grad));
          return param - f(mixed / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link SimplifiedAdEMAMix}. @interface */
export type SimplifiedAdEMAMixOptions = OptionsOf<typeof simplifiedAdemamix>;
type Resolved = ResolvedOf<typeof simplifiedAdemamix>;

/**
 * SimplifiedAdEMAMix: {@link AdEMAMix} with one average: a long momentum, and the gradient itself beside it.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← β₁·m + g;   s ← β₂·s + (1−β₂)·g²
 * w ← w − η·(m + α·g) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * m is a decaying sum, without the factor 1−β₁ and without bias correction. With a constant gradient it grows to
 * g/(1−β₁), a hundred gradients by default.
 *
 * Options: `lr` (η, 1e-4, [0, ∞)), `betas` ([0.99, 0.95], each in [0, 1)), `alpha` (α, 0, [0, ∞)), `eps` (ε, 1e-8, [0,
 * ∞)), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link AdEMAMix}, with two thirds of its state: long runs, where old gradients help. With small batches,
 * the paper takes α = 0 and a larger β₁; with large ones, an `alpha` up to 200.
 *
 * **Pitfalls:** `lr` is not Adam's: m is a sum, so start at 1−β₁ times the `lr` of {@link AdamW}, and adapt it whenever
 * β₁ or `alpha` changes.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { SimplifiedAdEMAMix } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new SimplifiedAdEMAMix(w, { lr: 1e-4, alpha: 10 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Morwani et al. 2025, https://arxiv.org/abs/2502.02431
 */
export class SimplifiedAdEMAMix<const P extends ParamsOf<typeof simplifiedAdemamix> = AnyParams> extends Optimizer<
  typeof simplifiedAdemamix,
  P
> {
  static readonly optimizerName: string = simplifiedAdemamix.name;
  static readonly defaults: DefaultsOf<typeof simplifiedAdemamix> = defaultsOf(simplifiedAdemamix);

  constructor(params: Given<P, typeof simplifiedAdemamix>, options: SimplifiedAdEMAMixOptions = {}) {
    super(simplifiedAdemamix, params, options);
  }

  protected override constants({ lr, betas: [beta1, beta2], alpha, eps }: Resolved, t: number): number[] {
    return [beta1, beta2, 1 - beta2, lr, lr * alpha, 1 / Math.sqrt(1 - power(beta2, t)), eps];
  }
}
