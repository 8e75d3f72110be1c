import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { finite, largest } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

/** The gradient, corrected by its difference to the one before. */
function corrected(correction: number, grad: number, previousGrad: number): number {
  return f(finite(f(grad + f(correction * f(finite(f(grad - previousGrad)))))));
}

/** What divides the gradient: its norm, if that is above 1. The norm may be beyond float32. */
const divisorOf = (norm: number): number => (norm > 1 ? Math.min(norm, largest) : 1);

export const mars = {
  name: 'MARS',
  reference:
    'Yuan et al., "MARS: Unleashing the Power of Variance Reduction for Training Large Models", 2024, Algorithms 2 and 3, https://arxiv.org/abs/2411.10438',
  formula: [
    'x = g + γ·β₁/(1−β₁)·(g − (g of the step before)), the g before the first one is 0',
    'x ← x/‖x‖ if ‖x‖ > 1;  m ← β₁·m + (1−β₁)·x',
    'adamw: s ← β₂·s + (1−β₂)·x²;  w ← w·(1 − η·λ) − η·m̂/(√ŝ + ε), m̂ = m/(1−β₁ᵗ), ŝ = s/(1−β₂ᵗ)',
    'lion: w ← w·(1 − η·λ) − η·sign(m)',
  ],
  decay: 'decoupled',
  denseOnly: 'MARS needs the norm of the whole gradient',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 3e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of x and x². */
    betas: { default: [0.95, 0.99], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. `'adamw'` only. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Scale of the correction by the difference of gradients. 0 leaves the gradient as it is. */
    gamma: { default: 0.025, range: '[0, inf)' },
    /** The update rule for the corrected gradient. */
    marsType: { default: 'adamw', choices: ['adamw', 'lion'] },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    'mars-adamw': kernel({
      state: ['expAvg', 'expAvgSq', 'previousGrad'],
      constants: [
        'correction',
        'divisor',
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'stepSize',
        'inverseBiasCorrection2Sqrt',
        'eps',
      ],
      norms: {
        measure:
          ([correction], [, , previousGrad]) =>
          (i, param, grad, out) => {
            out[0] = param;
            out[1] = corrected(correction, grad, previousGrad[i]!);
          },
        resolve: ([correction, , ...others], _, norm) => [correction, divisorOf(norm), ...others],
      },
      reference:
        (
          [correction, divisor, beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps],
          [expAvg, expAvgSq, previousGrad],
        ) =>
        (i, param, grad) => {
          const x = f(corrected(correction, grad, previousGrad[i]!) / divisor);
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * x);
          expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * x) * x);
          previousGrad[i] = grad;
          const root = f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt);
          return param - f(f(stepSize * expAvg[i]!) / f(root + eps));
        },
    }),
    'mars-lion': kernel({
      state: ['expAvg', 'previousGrad'],
      constants: ['correction', 'divisor', 'beta1', 'oneMinusBeta1', 'lr'],
      norms: {
        measure:
          ([correction], [, previousGrad]) =>
          (i, param, grad, out) => {
            out[0] = param;
            out[1] = corrected(correction, grad, previousGrad[i]!);
          },
        resolve: ([correction, , ...others], _, norm) => [correction, divisorOf(norm), ...others],
      },
      reference:
        ([correction, divisor, beta1, oneMinusBeta1, lr], [expAvg, previousGrad]) =>
        (i, param, grad) => {
          const x = f(corrected(correction, grad, previousGrad[i]!) / divisor);
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * x);
          previousGrad[i] = grad;
          return param - f(lr * Math.sign(expAvg[i]!));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link MARS}. @interface */
export type MARSOptions = OptionsOf<typeof mars>;
type Resolved = ResolvedOf<typeof mars>;

/**
 * MARS: {@link AdamW} or {@link Lion} with variance reduction. Each gradient is corrected by its difference from the
 * previous one.
 *
 * ```
 * x = g + γ·β₁/(1−β₁)·(g − (g of the step before)), the g before the first one is 0
 * x ← x/‖x‖ if ‖x‖ > 1;  m ← β₁·m + (1−β₁)·x
 * adamw: s ← β₂·s + (1−β₂)·x²;  w ← w·(1 − η·λ) − η·m̂/(√ŝ + ε), m̂ = m/(1−β₁ᵗ), ŝ = s/(1−β₂ᵗ)
 * lion: w ← w·(1 − η·λ) − η·sign(m)
 * ```
 * This is the published approximation, which compares the gradients of two batches. g is the gradient after clipping.
 * The norm is that of the whole param, so sparse gradients are rejected.
 *
 * Options: `lr` (η, 3e-3, [0, ∞)), `betas` ([0.95, 0.99], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `gamma` (γ, 0.025,
 * [0, ∞)), `marsType` ('adamw', or 'lion'), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s, only `'adamw'`), `previousGrad`. A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** Pre-training of language models, in place of {@link AdamW}.
 *
 * **Pitfalls:** `'lion'` needs a smaller lr, a tenth or less. The correction doubles the noise of tiny batches: lower
 * `gamma` for them. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { MARS } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new MARS(w, { weightDecay: 0.01 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Yuan et al. 2024, Algorithms 2 and 3, https://arxiv.org/abs/2411.10438
 */
export class MARS<const P extends ParamsOf<typeof mars> = AnyParams> extends Optimizer<typeof mars, P> {
  static readonly optimizerName: string = mars.name;
  static readonly defaults: DefaultsOf<typeof mars> = defaultsOf(mars);

  constructor(params: Given<P, typeof mars>, options: MARSOptions = {}) {
    super(mars, params, options);
  }

  protected override kernel({ marsType }: Resolved): string {
    return `mars-${marsType}`;
  }

  protected override constants({ lr, betas: [beta1, beta2], eps, gamma, marsType }: Resolved, t: number): number[] {
    const correction = (gamma * beta1) / (1 - beta1);
    if (marsType === 'lion') return [correction, 1, beta1, 1 - beta1, lr];
    const stepSize = lr / (1 - power(beta1, t));
    return [correction, 1, beta1, 1 - beta1, beta2, 1 - beta2, stepSize, 1 / Math.sqrt(1 - power(beta2, t)), eps];
  }
}
