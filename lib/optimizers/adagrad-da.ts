import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { finite, overScale } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adagradDa = {
  name: 'AdagradDA',
  reference:
    'Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 2011, regularized dual averaging, section 5.1, https://jmlr.org/papers/v12/duchi11a.html',
  formula: ['s ← s + g²;  a ← a + g;  H = ε + √s', 'w ← −sign(a)·(η·t/H)·max(|a|/t − l1, 0)', 'w is 0 where H is 0'],
  decay: 'none',
  float32State: 'it computes the weights from its state',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 0.1, range: '[0, inf)' },
    /** L1 penalty: makes weights exactly 0. */
    l1: { default: 0, range: '[0, inf)' },
    /** Added to the square root of the sum of squares. */
    eps: { default: 1e-3, range: '[0, inf)' },
  },
  kernels: {
    'adagrad-da': kernel({
      state: ['sum', 'gradSum'],
      constants: ['lr', 'threshold', 'eps'],
      reference:
        ([lr, threshold, eps], [sum, gradSum]) =>
        (i, _param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          gradSum[i] = finite(gradSum[i]! + grad);
          const rest = f(Math.abs(gradSum[i]!) - threshold);
          const scale = f(f(Math.sqrt(sum[i]!)) + eps);
          return 0 - f(lr * overScale(Math.sign(gradSum[i]!) * (rest > 0 ? rest : 0), scale));
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link AdagradDA}. @interface */
export type AdagradDAOptions = OptionsOf<typeof adagradDa>;
type Resolved = ResolvedOf<typeof adagradDa>;

/**
 * AdagradDA: {@link Adagrad} with regularized dual averaging. Each step computes w anew from the sum of all gradients,
 * and an L1 penalty makes weights exactly 0.
 *
 * ```
 * s ← s + g²;   a ← a + g;   H = ε + √s
 * w ← −sign(a)·(η·t/H)·max(|a|/t − l1, 0)
 * ```
 * The method is centred at 0: the first step replaces the initial weights.
 *
 * Options: `lr` (η, 0.1, [0, ∞)), `l1` (0, [0, ∞)), `eps` (ε, 1e-3, [0, ∞)).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `sum` (s), `gradSum` (a). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Linear models on sparse features that start at 0 and whose weights should become exactly 0.
 *
 * **Pitfalls:** The first step discards the initial weights. Do not use it for networks with hidden layers, because all
 * units of a layer would stay equal. A change of `lr` scales the weights themselves. A sparse step changes only the
 * rows that the gradient names, but t counts every step of the param. There is no `weightDecay`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { AdagradDA } from 'schuss';
 * const w = new Float32Array(3);
 * new AdagradDA(w, { lr: 0.1, l1: 0.2 }).step(new Float32Array([0.5, 0.1, -0.5])); // w[1] is still 0
 * ```
 * @see Duchi, Hazan & Singer 2011, https://jmlr.org/papers/v12/duchi11a.html
 */
export class AdagradDA<const P extends ParamsOf<typeof adagradDa> = AnyParams> extends Optimizer<typeof adagradDa, P> {
  static readonly optimizerName: string = adagradDa.name;
  static readonly defaults: DefaultsOf<typeof adagradDa> = defaultsOf(adagradDa);

  constructor(params: Given<P, typeof adagradDa>, options: AdagradDAOptions = {}) {
    super(adagradDa, params, options);
  }

  protected override constants({ lr, l1, eps }: Resolved, t: number): number[] {
    return [lr, t * l1, eps];
  }
}
