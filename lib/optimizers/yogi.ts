import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { finite } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const yogi = {
  name: 'Yogi',
  reference:
    'Zaheer et al., "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018, Algorithm 2, https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization',
  formula: [
    'w ← w·(1 − η·λ)',
    'm ← β₁·m + (1−β₁)·g;  s ← s − (1−β₂)·sign(s − g²)·g²',
    'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
  ],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Decay rate of the moving average of g, and how fast s follows g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-3, range: '[0, inf)' },
    /** Initial value of s. */
    initialAccumulatorValue: { default: 1e-6, range: '[0, inf)', fixed: true },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    yogi: kernel({
      state: ['expAvg', 'expAvgSq'],
      constants: ['beta1', 'oneMinusBeta1', 'oneMinusBeta2', 'stepSize', 'inverseBiasCorrection2Sqrt', 'eps'],
      reference:
        ([beta1, oneMinusBeta1, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          const excess = Math.sign(f(expAvgSq[i]! - f(grad * grad)));
          expAvgSq[i] = finite(expAvgSq[i]! - f(excess * f(f(oneMinusBeta2 * grad) * grad)));
          const denominator = f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps);
          return param - f(f(stepSize * expAvg[i]!) / denominator);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Yogi}. @interface */
export type YogiOptions = OptionsOf<typeof yogi>;
type Resolved = ResolvedOf<typeof yogi>;

/**
 * Yogi: {@link Adam} in which s moves towards g² by (1−β₂)·g² in each step, however far apart they are. So the steps of
 * an element do not grow suddenly after large gradients.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← β₁·m + (1−β₁)·g;   s ← s − (1−β₂)·sign(s − g²)·g²
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * s starts at `initialAccumulatorValue`, and m at 0. In optax both start at this value.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-3, [0, ∞)),
 * `initialAccumulatorValue` (1e-6, [0, ∞), not a Schedule), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** As {@link Adam}, where gradients are sparse or of changing size. After a large gradient, Adam's s decays
 * exponentially. Yogi's s falls only by a fraction of the new g².
 *
 * **Pitfalls:** The defaults are the paper's: `eps` is 1e-3, so gradients far below it give steps far below `lr`. After
 * one huge gradient, the steps of its element stay small for longer than Adam's.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Yogi } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Yogi(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is about [0.9, 2, 3.1]
 * ```
 * @see Zaheer et al. 2018, Algorithm 2, https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization
 */
export class Yogi<const P extends ParamsOf<typeof yogi> = AnyParams> extends Optimizer<typeof yogi, P> {
  static readonly optimizerName: string = yogi.name;
  static readonly defaults: DefaultsOf<typeof yogi> = defaultsOf(yogi);

  constructor(params: Given<P, typeof yogi>, options: YogiOptions = {}) {
    super(yogi, params, options);
  }

  protected override initial(name: string, { initialAccumulatorValue }: Resolved): number {
    return name === 'expAvgSq' ? initialAccumulatorValue : 0;
  }

  protected override constants({ lr, betas: [beta1, beta2], eps }: Resolved, t: number): number[] {
    const stepSize = lr / (1 - power(beta1, t));
    return [beta1, 1 - beta1, 1 - beta2, stepSize, 1 / Math.sqrt(1 - power(beta2, t)), eps];
  }
}
