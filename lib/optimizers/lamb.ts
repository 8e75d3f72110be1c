import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

/** Adam's update direction plus weightDecay · w, in float32. */
function direction(
  [, , , , inverseBiasCorrection1, inverseBiasCorrection2Sqrt, eps, weightDecay]: readonly number[],
  param: number,
  expAvg: number,
  expAvgSq: number,
): number {
  const denominator = f(f(f(Math.sqrt(expAvgSq)) * inverseBiasCorrection2Sqrt!) + eps!);
  return f(f(f(expAvg * inverseBiasCorrection1!) / denominator) + f(weightDecay! * param));
}

export const lamb = {
  name: 'LAMB',
  reference:
    'You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR 2020, Algorithm 2, https://arxiv.org/abs/1904.00962',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²',
    'u = (m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε) + λ·w',
    'w ← w − η·min(‖w‖, clamp)/‖u‖ · u, the ratio 1 if a norm is 0',
  ],
  decay: 'none',
  denseOnly: 'LAMB needs the norm of the whole update',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-6, range: '[0, inf)' },
    /** Upper bound on ‖w‖ in the trust ratio. */
    clamp: { range: '(0, inf)' },
    /** Apply bias correction to both averages. */
    biasCorrection: { default: true },
    /** Weight decay inside the formula: adds weightDecay · w before the trust ratio scales the update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    lamb: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'inverseBiasCorrection1',
        'inverseBiasCorrection2Sqrt',
        'eps',
        'weightDecay',
        'clamp',
        'lr',
        'rate',
      ],
      norms: {
        measure: (constants, [expAvg, expAvgSq]) => {
          const [beta1, oneMinusBeta1, beta2, oneMinusBeta2] = constants;
          return (i, param, grad, out) => {
            expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
            expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
            out[0] = param;
            out[1] = direction(constants, param, expAvg[i]!, expAvgSq[i]!);
          };
        },
        resolve: (constants, paramNorm, updateNorm) => {
          const { 8: clamp, 9: lr } = constants;
          const clamped = paramNorm < clamp ? paramNorm : clamp;
          const trustRatio = paramNorm > 0 && updateNorm > 0 ? clamped / updateNorm : 1;
          return constants.with(10, lr * trustRatio) as unknown as typeof constants;
        },
      },
      reference: (constants, [expAvg, expAvgSq]) => {
        const rate = constants[10];
        return (i, param) => param - f(rate * direction(constants, param, expAvg[i]!, expAvgSq[i]!));
      },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link LAMB}. @interface */
export type LAMBOptions = OptionsOf<typeof lamb>;
type Resolved = ResolvedOf<typeof lamb>;

/**
 * LAMB: scales {@link Adam}'s update of each param by the ratio of the norms of weights and update. For large batches.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²
 * u = (m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε) + λ·w
 * w ← w − η·min(‖w‖, clamp)/‖u‖ · u, the ratio 1 if a norm is 0
 * ```
 * The norms are those of the whole param, so sparse gradients are rejected.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-6, [0, ∞)), `clamp` (none,
 * (0, ∞)), `biasCorrection` (true), `weightDecay` (λ, 0, [0, ∞), in the formula).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Large batches of text, such as 4096 sentences and more.
 *
 * **Pitfalls:** Without a warm-up the first steps are long. A param whose norm is 0, such as a new bias, takes the
 * ratio 1. For small batches {@link AdamW} is simpler and no worse. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { LAMB } from 'schuss';
 * const w = new Float32Array([3, 4]); // ‖w‖ is 5; Adam's first update has norm √2
 * new LAMB(w, { lr: 0.1 }).step(new Float32Array([0.5, -0.5])); // w is [2.646, 4.354]
 * ```
 * @see You et al. 2020, Algorithm 2, https://arxiv.org/abs/1904.00962
 */
export class LAMB<const P extends ParamsOf<typeof lamb> = AnyParams> extends Optimizer<typeof lamb, P> {
  static readonly optimizerName: string = lamb.name;
  static readonly defaults: DefaultsOf<typeof lamb> = defaultsOf(lamb);

  constructor(params: Given<P, typeof lamb>, options: LAMBOptions = {}) {
    super(lamb, params, options);
  }

  protected override constants({ lr, betas, eps, clamp, biasCorrection, weightDecay }: Resolved, t: number): number[] {
    const beta1 = betas[0];
    const beta2 = betas[1];
    const biasCorrection1 = biasCorrection ? 1 - power(beta1, t) : 1;
    const biasCorrection2 = biasCorrection ? 1 - power(beta2, t) : 1;
    return [
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / biasCorrection1,
      1 / Math.sqrt(biasCorrection2),
      eps,
      weightDecay,
      clamp ?? Number.POSITIVE_INFINITY,
      lr,
      0,
    ];
  }
}
