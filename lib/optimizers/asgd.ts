import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, ArraysOf, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const asgd = {
  name: 'ASGD',
  reference:
    'Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, https://doi.org/10.1137/0330046; the step sizes: Bottou, "Stochastic Gradient Descent Tricks", 2012, https://leon.bottou.org/papers/bottou-tricks-2012',
  formula: [
    'w ← w·(1 − λₐ·η̃) − η̃·g;  ax ← ax + μ·(w − ax)',
    'after it: η̃ ← η/(1 + λₐ·η·t)^α;  μ ← 1/max(1, t − t0);  first η̃ = η, μ = 1',
  ],
  decay: 'l2',
  float32State: 'its state has the averages of the weights',
  hyperParameters: {
    /** Learning rate: the initial step size. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** λₐ: decay rate of the weights and of the step size. */
    lambd: { default: 1e-4, range: '[0, inf)' },
    /** Exponent of the step size's decay. */
    alpha: { default: 0.75, range: '[0, inf)' },
    /** Steps before averaging starts. */
    t0: { default: 1e6, range: '[0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    asgd: kernel({
      state: ['ax'],
      constants: ['decayFactor', 'eta', 'mu'],
      reference:
        ([decayFactor, eta, mu], [ax]) =>
        (i, param, grad) => {
          const after = f(f(decayFactor * param) - f(eta * grad));
          ax[i] = 1 > mu ? ax[i]! + f(mu * f(after - ax[i]!)) : after;
          return after;
        },
    }),
  },
  // For the next update, computed from the lr of the previous one.
  scalars: { eta: 0, mu: 1 },
} as const satisfies Declaration;

/** Options of {@link ASGD}. @interface */
export type ASGDOptions = OptionsOf<typeof asgd>;
type Resolved = ResolvedOf<typeof asgd>;

/**
 * Averaged SGD: decays the step size η̃ and, after `t0` steps, averages the weights.
 *
 * ```
 * w ← w·(1 − λₐ·η̃) − η̃·g;   ax ← ax + μ·(w − ax)
 * after it   η̃ ← η/(1 + λₐ·η·t)^α;   μ ← 1/max(1, t − t0);   first η̃ = η, μ = 1
 * ```
 * `averagedParams` returns ax. As in PyTorch, a change of `lr` takes effect one step later.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `lambd` (λₐ, 1e-4, [0, ∞)), `alpha` (α, 0.75, [0, ∞)), `t0` (1e6, [0, ∞)),
 * `weightDecay` (0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `ax`, and the numbers `eta` (η̃) and `mu` (μ). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** SGD whose averaged weights you want to use at the end.
 *
 * **Pitfalls:** The average begins after `t0` steps, a million by default. Set `t0` to the step at which the loss
 * flattens; before it, `averagedParams` equals the params. `lambd` decays the weights, by default too.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { ASGD } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * const asgd = new ASGD(w, { lr: 0.1, t0: 10 });
 * asgd.step(new Float32Array([0.5, 0, -0.5]));
 * const averaged = asgd.averagedParams as Float32Array; // still a copy of w
 * ```
 * @see Polyak & Juditsky 1992, https://doi.org/10.1137/0330046
 */
export class ASGD<const P extends ParamsOf<typeof asgd> = AnyParams> extends Optimizer<typeof asgd, P> {
  static readonly optimizerName: string = asgd.name;
  static readonly defaults: DefaultsOf<typeof asgd> = defaultsOf(asgd);

  constructor(params: Given<P, typeof asgd>, options: ASGDOptions = {}) {
    super(asgd, params, options);
  }

  /**
   * The averaged weights: live arrays in the structure of the gradients. For a param that has had no update yet, they
   * are its current weights.
   */
  get averagedParams(): ArraysOf<P> {
    return this.stateArrays('ax', { startsAsParam: true });
  }

  protected override constants({ lr, lambd }: Resolved, t: number, [nextEta, mu]: readonly [number, number]): number[] {
    const eta = t === 1 ? lr : nextEta;
    return [1 - lambd * eta, eta, mu];
  }

  protected override scalarsAfter({ lr, lambd, alpha, t0 }: Resolved, t: number): readonly number[] {
    return [lr / (1 + lambd * lr * t) ** alpha, 1 / Math.max(1, t - t0)];
  }
}
