import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adamax = {
  name: 'Adamax',
  reference:
    'Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 2, https://arxiv.org/abs/1412.6980',
  formula: ['m ← β₁·m + (1−β₁)·g;  u ← max(β₂·u, |g| + ε)', 'w ← w − η/(1−β₁ᵗ) · m / u', cautiousFormula],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 2e-3, range: '[0, inf)' },
    /** Decay rates of the moving average of g and the running maximum of |g|. */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to |g| inside the maximum. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: withCautious({
    adamax: kernel({
      state: ['expAvg', 'expInf'],
      constants: ['beta1', 'oneMinusBeta1', 'beta2', 'stepSize', 'eps'],
      reference:
        ([beta1, oneMinusBeta1, beta2, stepSize, eps], [expAvg, expInf]) =>
        (i, param, grad) => {
          expAvg[i] = f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad);
          const [decayed, magnitude] = [f(beta2 * expInf[i]!), f(Math.abs(grad) + eps)];
          expInf[i] = decayed > magnitude ? decayed : magnitude;
          return param - f(f(stepSize * expAvg[i]!) / expInf[i]!);
        },
    }),
  }),
} as const satisfies Declaration;

export const adamaxw = {
  ...adamax,
  name: 'AdamaxW',
  reference: `${adamax.reference}; the decay: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, https://arxiv.org/abs/1711.05101`,
  formula: ['w ← w·(1 − η·λ)', ...adamax.formula],
  decay: 'decoupled',
  hyperParameters: {
    ...adamax.hyperParameters,
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 1e-2, range: '[0, inf)' },
  },
} as const satisfies Declaration;

/** Options of {@link Adamax}. @interface */
export type AdamaxOptions = OptionsOf<typeof adamax>;
/** Options of {@link AdamaxW}. @interface */
export type AdamaxWOptions = OptionsOf<typeof adamaxw>;
type Resolved = ResolvedOf<typeof adamax>;

function constantsOf({ lr, betas: [beta1, beta2], eps }: Resolved, t: number): number[] {
  return [beta1, 1 - beta1, beta2, lr / (1 - power(beta1, t)), eps];
}

/**
 * Adamax: {@link Adam} with the infinity norm. Divides the averaged gradient by a decaying maximum of |g|.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;   u ← max(β₂·u, |g| + ε)
 * w ← w − η/(1−β₁ᵗ) · m / u
 * ```
 * Options: `lr` (η, 2e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `weightDecay` (0,
 * [0, ∞), L2), `cautious` (false, see {@link Adam}).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), `expInf` (u). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Gradients with rare large values, such as those of embeddings.
 *
 * **Pitfalls:** One large gradient keeps the steps of its element small for about 1/(1−β₂) steps, 1000 by default.
 * `weightDecay` is L2.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Adamax } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Adamax(w, { lr: 1e-3 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980
 */
export class Adamax<const P extends ParamsOf<typeof adamax> = AnyParams> extends Optimizer<typeof adamax, P> {
  static readonly optimizerName: string = adamax.name;
  static readonly defaults: DefaultsOf<typeof adamax> = defaultsOf(adamax);

  constructor(params: Given<P, typeof adamax>, options: AdamaxOptions = {}) {
    super(adamax, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'adamax-cautious' : 'adamax';
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}

/**
 * AdamaxW: {@link Adamax} with decoupled weight decay, as in {@link AdamW}.
 *
 * ```
 * w ← w·(1 − η·λ), then Adamax's update
 * ```
 * Options: those of {@link Adamax}, except that `weightDecay` (λ, 1e-2, [0, ∞)) is decoupled. State: that of
 * {@link Adamax}.
 *
 * @remarks
 * **When:** As {@link AdamW}, for gradients with rare large values, such as those of embeddings.
 *
 * **Pitfalls:** One large gradient keeps the steps of its element small for about 1/(1−β₂) steps, 1000 by default. A
 * step shrinks the weights by lr · weightDecay, so decay follows the schedule of lr.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { AdamaxW } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new AdamaxW(w, { lr: 1e-3, weightDecay: 0.1 }).step(new Float32Array([0.5, 0, -0.5]));
 * ```
 * @see Kingma & Ba 2015, Algorithm 2, https://arxiv.org/abs/1412.6980; the decay: Loshchilov & Hutter 2019,
 *   https://arxiv.org/abs/1711.05101
 */
export class AdamaxW<const P extends ParamsOf<typeof adamaxw> = AnyParams> extends Optimizer<typeof adamaxw, P> {
  static readonly optimizerName: string = adamaxw.name;
  static readonly defaults: DefaultsOf<typeof adamaxw> = defaultsOf(adamaxw);

  constructor(params: Given<P, typeof adamaxw>, options: AdamaxWOptions = {}) {
    super(adamaxw, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'adamax-cautious' : 'adamax';
  }

  protected override constants(resolved: Resolved, t: number): number[] {
    return constantsOf(resolved, t);
  }
}
