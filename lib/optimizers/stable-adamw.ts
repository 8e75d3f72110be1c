import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const stableAdamw = {
  name: 'StableAdamW',
  reference:
    'Wortsman et al., "Stable and low-precision training for large-scale vision-language models", NeurIPS 2023, Algorithm 2, https://arxiv.org/abs/2304.13013',
  formula: [
    'aᵢ = βᵢ·(1−βᵢᵗ⁻¹)/(1−βᵢᵗ);  m ← a₁·m + (1−a₁)·g;  s ← a₂·s + (1−a₂)·g²',
    'r = √(mean of g²/max(s, ε²));  e = η/max(1, r)',
    'w ← w·(1 − e·λ) − e·m/(√s + ε)',
  ],
  decay: 'none',
  denseOnly: 'StableAdamW needs the mean over the whole gradient',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.99], range: '[0, 1)' },
    /** Added to the denominator, outside the square root; also the lower bound of √s in r. */
    eps: { default: 1e-8, range: '(0, inf)' },
    /** Decoupled weight decay: multiplies w by 1 − e · weightDecay, where e is the clipped rate. */
    weightDecay: { default: 1e-2, range: '[0, inf)' },
  },
  kernels: {
    'stable-adamw': kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: [
        'beta1',
        'oneMinusBeta1',
        'beta2',
        'oneMinusBeta2',
        'eps',
        'weightDecay',
        'lr',
        'decayFactor',
        'rate',
      ],
      norms: {
        measure:
          ([beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps], [expAvg, expAvgSq]) =>
          (i, param, grad, out) => {
            expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
            expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
            const root = f(Math.sqrt(expAvgSq[i]!));
            out[0] = param;
            out[1] = grad / (root > eps ? root : eps);
          },
        resolve: (constants, _paramNorm, norm, length) => {
          const [beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, weightDecay, lr] = constants;
          const rms = norm / Math.sqrt(length);
          const rate = rms > 1 ? lr / rms : lr;
          return [beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, weightDecay, lr, 1 - rate * weightDecay, rate];
        },
      },
      reference:
        ([, , , , eps, , , decayFactor, rate], [expAvg, expAvgSq]) =>
        (i, param) =>
          f(decayFactor * param) - f(f(rate * expAvg[i]!) / f(f(Math.sqrt(expAvgSq[i]!)) + eps)),
    }),
  },
} as const satisfies Declaration;

/** Options of {@link StableAdamW}. @interface */
export type StableAdamWOptions = OptionsOf<typeof stableAdamw>;
type Resolved = ResolvedOf<typeof stableAdamw>;

/**
 * StableAdamW: {@link AdamW} that shortens the step of a param whose gradient is much larger than the moving average of
 * g² predicts.
 *
 * ```
 * aᵢ = βᵢ·(1−βᵢᵗ⁻¹)/(1−βᵢᵗ);  m ← a₁·m + (1−a₁)·g;  s ← a₂·s + (1−a₂)·g²
 * r = √(mean of g²/max(s, ε²));  e = η/max(1, r)
 * w ← w·(1 − e·λ) − e·m/(√s + ε)
 * ```
 * The rates a₁ and a₂ include the bias corrections. The mean is that of the whole param, so sparse gradients are
 * rejected.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.99], each in [0, 1)), `eps` (ε, 1e-8, (0, ∞)), `weightDecay` (λ,
 * 1e-2, [0, ∞), decoupled, by the rate e).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link AdamW}, if the loss has spikes. It can replace `clipNorm` and needs no threshold.
 *
 * **Pitfalls:** β₂ is 0.99 here. With 0.999, r often exceeds 1 and the steps are shorter than lr says. It takes no
 * sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { StableAdamW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const optimizer = new StableAdamW(w, { lr: 0.1, weightDecay: 0 });
 * optimizer.step(new Float32Array([0.5, -0.5, 0.5])); // w is [0.9, 2.1, 2.9]
 * ```
 * @see Wortsman et al. 2023, Algorithm 2, https://arxiv.org/abs/2304.13013
 */
export class StableAdamW<const P extends ParamsOf<typeof stableAdamw> = AnyParams> extends Optimizer<
  typeof stableAdamw,
  P
> {
  static readonly optimizerName: string = stableAdamw.name;
  static readonly defaults: DefaultsOf<typeof stableAdamw> = defaultsOf(stableAdamw);

  constructor(params: Given<P, typeof stableAdamw>, options: StableAdamWOptions = {}) {
    super(stableAdamw, params, options);
  }

  protected override constants({ lr, betas, eps, weightDecay }: Resolved, t: number): number[] {
    const [beta1, oneMinusBeta1] = corrected(betas[0], t);
    const [beta2, oneMinusBeta2] = corrected(betas[1], t);
    return [beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, weightDecay, lr, 1, 0];
  }
}

/** β·(1−βᵗ⁻¹)/(1−βᵗ), and its complement to 1: the decay rate of an average that needs no bias correction. */
function corrected(beta: number, t: number): readonly [beta: number, oneMinusBeta: number] {
  const correction = 1 - power(beta, t);
  return [(beta * (1 - power(beta, t - 1))) / correction, (1 - beta) / correction];
}
