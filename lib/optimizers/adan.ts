import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { finite } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adan = {
  name: 'Adan',
  reference:
    'Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", 2022, Algorithm 1, https://arxiv.org/abs/2208.06677',
  formula: [
    'y = g − (g of the step before), 0 at t = 1',
    'm ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·y;  n ← β₃·n + (1−β₃)·(g + β₂·y)²',
    'u = (m/(1−β₁ᵗ) + β₂·v/(1−β₂ᵗ)) / (√(n/(1−β₃ᵗ)) + ε);  w ← (w − η·u)/(1 + η·λ)',
    'noProx: w ← w·(1 − η·λ) − η·u',
  ],
  // The formula applies weightDecay itself.
  decay: 'none',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the averages of g, of its differences, and of squares. The paper's β is 1 minus these. */
    betas: { default: [0.98, 0.92, 0.99], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Decay before the update, as AdamW does, instead of after it. */
    noProx: { default: false },
    /** Weight decay inside the formula: divides w by 1 + lr · weightDecay after each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adan: kernel({
      state: ['expAvg', 'expAvgDiff', 'expAvgSq', 'previousGrad'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'beta3',
        'oneMinusBeta3',
        'momentStep',
        'diffStep',
        'inverseBiasCorrection3Sqrt',
        'eps',
        'hasPrevious',
        'decayFactor',
        'divisor',
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
            momentStep,
            diffStep,
            inverseBiasCorrection3Sqrt,
            eps,
            hasPrevious,
            decayFactor,
            divisor,
          ],
          [expAvg, expAvgDiff, expAvgSq, previousGrad],
        ) =>
        (i, param, grad) => {
          const diff = hasPrevious > 0 ? f(finite(grad - previousGrad[i]!)) : 0;
          const ahead = f(grad + f(beta2 * diff));
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          expAvgDiff[i] = f(beta2 * expAvgDiff[i]!) + f(oneMinusBeta2 * diff);
          expAvgSq[i] = f(beta3 * expAvgSq[i]!) + f(f(oneMinusBeta3 * ahead) * ahead);
          const moments = f(f(momentStep * expAvg[i]!) + f(diffStep * expAvgDiff[i]!));
          const update = f(moments / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection3Sqrt) + eps));
          previousGrad[i] = grad;
          return f(f(decayFactor * param) - update) / divisor;
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adan}. @interface */
export type AdanOptions = OptionsOf<typeof adan>;
type Resolved = ResolvedOf<typeof adan>;

/**
 * Adan: {@link Adam} with Nesterov momentum, which it estimates from the differences of successive gradients.
 *
 * ```
 * y = g − (g of the step before), 0 at t = 1
 * m ← β₁·m + (1−β₁)·g;   v ← β₂·v + (1−β₂)·y;   n ← β₃·n + (1−β₃)·(g + β₂·y)²
 * u = (m/(1−β₁ᵗ) + β₂·v/(1−β₂ᵗ)) / (√(n/(1−β₃ᵗ)) + ε)
 * w ← (w − η·u)/(1 + η·λ);   noProx: w ← w·(1 − η·λ) − η·u
 * ```
 * The betas are those of the published code. The paper writes β for 1 minus them.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.98, 0.92, 0.99], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `noProx`
 * (false), `weightDecay` (λ, 0, [0, ∞), in the formula).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgDiff` (v), `expAvgSq` (n), `previousGrad`. A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** Vision transformers and large batches, where it tolerates an `lr` 5 to 10 times that of {@link AdamW}.
 *
 * **Pitfalls:** It keeps twice the state of Adam. The difference of gradients doubles the noise of small batches. With
 * sparse gradients, the previous gradient of a row is that of the last step that named it, or 0. optax also adds ε
 * under the root.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Adan } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Adan(w, { lr: 0.1, weightDecay: 0.02 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Xie et al. 2022, Algorithm 1, https://arxiv.org/abs/2208.06677
 */
export class Adan<const P extends ParamsOf<typeof adan> = AnyParams> extends Optimizer<typeof adan, P> {
  static readonly optimizerName: string = adan.name;
  static readonly defaults: DefaultsOf<typeof adan> = defaultsOf(adan);

  constructor(params: Given<P, typeof adan>, options: AdanOptions = {}) {
    super(adan, params, options);
  }

  protected override constants({ lr, betas, eps, noProx, weightDecay }: Resolved, t: number): number[] {
    const [beta1, beta2, beta3] = betas;
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      beta3,
      1 - beta3,
      lr / (1 - power(beta1, t)),
      (lr * beta2) / (1 - power(beta2, t)),
      1 / Math.sqrt(1 - power(beta3, t)),
      eps,
      t === 1 ? 0 : 1,
      noProx ? 1 - lr * weightDecay : 1,
      noProx ? 1 : 1 + lr * weightDecay,
    ];
  }
}
