import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

const momentConstants = [
  'beta1',
  'oneMinusBeta1',
  'beta2',
  'oneMinusBeta2',
  'stepSize',
  'inverseBiasCorrection2Sqrt',
  'eps',
] as const;

const kernels = {
  adam: kernel({
    state: ['expAvg', 'expAvgSq'],
    constants: momentConstants,
    reference:
      ([beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps], [expAvg, expAvgSq]) =>
      (i, param, grad) => {
        expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
        expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
        return (
          param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(expAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps))
        );
      },
  }),
  'adam-amsgrad': kernel({
    state: ['expAvg', 'expAvgSq', 'maxExpAvgSq'],
    constants: momentConstants,
    reference:
      (
        [beta1, oneMinusBeta1, beta2, oneMinusBeta2, stepSize, inverseBiasCorrection2Sqrt, eps],
        [expAvg, expAvgSq, maxExpAvgSq],
      ) =>
      (i, param, grad) => {
        expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
        expAvgSq[i] = f(beta2 * expAvgSq[i]!) + f(f(oneMinusBeta2 * grad) * grad);
        maxExpAvgSq[i] = maxExpAvgSq[i]! > expAvgSq[i]! ? maxExpAvgSq[i]! : expAvgSq[i]!;
        return (
          param - f(f(stepSize * expAvg[i]!) / f(f(f(Math.sqrt(maxExpAvgSq[i]!)) * inverseBiasCorrection2Sqrt) + eps))
        );
      },
  }),
};

export const adam = {
  name: 'Adam',
  reference:
    'Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; amsgrad: Reddi, Kale & Kumar 2018, https://arxiv.org/abs/1904.09237',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·g²',
    'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
    'amsgrad: ŝ ← max(ŝ, s) in place of s in the denominator',
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Use the running maximum of s in the denominator (AMSGrad). */
    amsgrad: { default: false },
    /** Apply bias correction to both averages. */
    biasCorrection: { default: true },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels,
} as const satisfies Declaration;

export const adamw = {
  ...adam,
  name: 'AdamW',
  reference:
    'Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, Algorithm 2, https://arxiv.org/abs/1711.05101',
  formula: ['w ← w·(1 − η·λ)', ...adam.formula],
  decay: 'decoupled',
  hyperParameters: {
    ...adam.hyperParameters,
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 1e-2, range: '[0, inf)' },
  },
} as const satisfies Declaration;

/** Options of {@link Adam}. @interface */
export type AdamOptions = OptionsOf<typeof adam>;
/** Options of {@link AdamW}. @interface */
export type AdamWOptions = OptionsOf<typeof adamw>;
type Resolved = ResolvedOf<typeof adam>;

function kernelOf({ amsgrad }: Resolved): string {
  return amsgrad ? 'adam-amsgrad' : 'adam';
}

export function constantsOf(
  { lr, betas, eps, biasCorrection }: Pick<Resolved, 'lr' | 'betas' | 'eps' | 'biasCorrection'>,
  t: number,
): number[] {
  // Array destructuring would run an iterator, which takes as long as the rest of this function.
  const beta1 = betas[0];
  const beta2 = betas[1];
  const biasCorrection1 = biasCorrection ? 1 - power(beta1, t) : 1;
  const biasCorrection2 = biasCorrection ? 1 - power(beta2, t) : 1;
  return [beta1, 1 - beta1, beta2, 1 - beta2, lr / biasCorrection1, 1 / Math.sqrt(biasCorrection2), eps];
}

/**
 * Adam: divides a moving average of the gradient by the square root of a moving average of its square.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·g²
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * `amsgrad: true` computes `ŝ ← max(ŝ, s)` and uses ŝ instead of s in the denominator. `biasCorrection: false` uses m
 * and s without the divisions by 1−βᵗ.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `amsgrad` (false),
 * `biasCorrection` (true), `weightDecay` (0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expAvgSq` (s), and `maxExpAvgSq` (ŝ) with `amsgrad`. A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** Most networks, where no weight decay is wanted.
 *
 * **Pitfalls:** `weightDecay` is L2 here, and the root divides it as it divides the gradient. For decay, use
 * {@link AdamW}. One huge gradient keeps the steps of its element small for about 1/(1−β₂) steps, 1000 by default. If
 * the loss has spikes, lower β₂ to 0.95 or 0.99, or set `clipNorm`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Adam, cosine } from 'schuss';
 * const w = new Float32Array(784 * 100), b = new Float32Array(100);
 * const adam = new Adam({ 'fc.weight': w, 'fc.bias': b }, { lr: cosine(1e-3, { steps: 1000 }), clipNorm: 1 });
 * const { gradNorm } = adam.step({ 'fc.weight': w.map(() => 0.1), 'fc.bias': b.map(() => 0.1) });
 * ```
 * @see Kingma & Ba 2015, Algorithm 1, https://arxiv.org/abs/1412.6980; amsgrad: Reddi, Kale & Kumar 2018, Algorithm 2,
 *   https://arxiv.org/abs/1904.09237
 */
export class Adam<const P extends ParamsOf<typeof adam> = AnyParams> extends Optimizer<typeof adam, P> {
  static readonly optimizerName: string = adam.name;
  static readonly defaults: DefaultsOf<typeof adam> = defaultsOf(adam);

  constructor(params: Given<P, typeof adam>, options: AdamOptions = {}) {
    super(adam, params, options);
  }

  protected override kernel(resolved: Resolved): string {
    return kernelOf(resolved);
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}

/**
 * AdamW: {@link Adam} with decoupled weight decay, which shrinks the weights directly instead of adding to the
 * gradient.
 *
 * ```
 * w ← w·(1 − η·λ), then Adam's update
 * ```
 * Options: those of {@link Adam}, except that `weightDecay` (λ, 1e-2, [0, ∞)) is decoupled. State: that of
 * {@link Adam}.
 *
 * @remarks
 * **When:** The default: transformers and most other networks, with a short warm-up and a decaying lr.
 *
 * **Pitfalls:** A step shrinks the weights by lr · weightDecay, so decay follows the schedule of lr. Give biases and
 * the scales of normalisation layers `weightDecay: 0` with `groupBy`. Without a warm-up, every weight moves by about
 * lr in the first steps, however small its gradient is.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { AdamW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new AdamW(w, { lr: 3e-4, weightDecay: 0.1 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Loshchilov & Hutter 2019, Algorithm 2, https://arxiv.org/abs/1711.05101
 */
export class AdamW<const P extends ParamsOf<typeof adamw> = AnyParams> extends Optimizer<typeof adamw, P> {
  static readonly optimizerName: string = adamw.name;
  static readonly defaults: DefaultsOf<typeof adamw> = defaultsOf(adamw);

  constructor(params: Given<P, typeof adamw>, options: AdamWOptions = {}) {
    super(adamw, params, options);
  }

  protected override kernel(resolved: Resolved): string {
    return kernelOf(resolved);
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}
