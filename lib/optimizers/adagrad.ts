import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const adagrad = {
  name: 'Adagrad',
  reference:
    'Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 2011, figure 1, https://jmlr.org/papers/v12/duchi11a.html',
  formula: [
    's ← s + g²',
    'w ← w − η·g / (√s + ε)',
    'lrDecay: η/(1 + (t−1)·lrDecay)',
    'rowWise: s ← s + mean(g²), one a row',
  ],
  decay: 'l2',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-10, range: '[0, inf)' },
    /** Divides lr by 1 + (t − 1) · lrDecay, where t counts the param's own steps. */
    lrDecay: { default: 0, range: '[0, inf)' },
    /** Initial value of the sum of squares. */
    initialAccumulatorValue: { default: 0, range: '[0, inf)', fixed: true },
    /** Keep one accumulator per matrix row: the sum of the mean of g². Needs params with a shape. */
    rowWise: { default: false },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    adagrad: kernel({
      state: ['sum'],
      constants: ['lr', 'eps'],
      reference:
        ([lr, eps], [sum]) =>
        (i, param, grad) => {
          sum[i] = sum[i]! + f(grad * grad);
          return param - f(f(lr * grad) / f(f(Math.sqrt(sum[i]!)) + eps));
        },
    }),
    'adagrad-row-wise': kernel({
      state: ['sum'],
      constants: ['lr', 'eps'],
      layout: { sum: 'row' },
      updateRow:
        () =>
        (meanSquare, [sum]) => {
          sum[0] = sum[0]! + meanSquare();
        },
      reference:
        ([lr, eps], [sum]) =>
        (_i, param, grad) =>
          param - f(f(lr * grad) / f(f(Math.sqrt(sum[0]!)) + eps)),
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adagrad}. @interface */
export type AdagradOptions = OptionsOf<typeof adagrad>;
type Resolved = ResolvedOf<typeof adagrad>;

/**
 * Adagrad: divides the gradient by the square root of the sum of its past squares, element by element.
 *
 * ```
 * s ← s + g²;   w ← w − η/(1 + (t−1)·lrDecay) · g / (√s + ε)
 * ```
 * With `rowWise`, each matrix row (index of `shape[0]`) of a param with a shape has one accumulator,
 * `s ← s + mean(g²)`. For an embedding table this halves the memory, and each row that a step updates needs fewer
 * reads.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `eps` (ε, 1e-10, [0, ∞)), `lrDecay` (0, [0, ∞)), `initialAccumulatorValue` (0,
 * [0, ∞), not a Schedule), `rowWise` (false), `weightDecay` (0, [0, ∞), L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `sum` (s), one number per element, or per row with `rowWise`. A step updates the params and the state in
 * place.
 *
 * @remarks
 * **When:** Sparse features, clicks, embedding tables: a rare feature keeps a large step. Use `rowWise` for large
 * tables.
 *
 * **Pitfalls:** s only grows, so steps only shrink, and a long run stalls. Raise `lr` (0.05 to 0.1 is common), or use
 * {@link RMSprop}. `rowWise` needs a param with a shape.
 *
 * @throws TypeError for an unknown option, a wrong type, or `rowWise` without a shape; RangeError for a value out of
 *   range or overlapping params
 * @example
 * ```ts
 * import { Adagrad } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Adagrad(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Duchi, Hazan & Singer 2011, figure 1, https://jmlr.org/papers/v12/duchi11a.html
 */
export class Adagrad<const P extends ParamsOf<typeof adagrad> = AnyParams> extends Optimizer<typeof adagrad, P> {
  static readonly optimizerName: string = adagrad.name;
  static readonly defaults: DefaultsOf<typeof adagrad> = defaultsOf(adagrad);

  constructor(params: Given<P, typeof adagrad>, options: AdagradOptions = {}) {
    super(adagrad, params, options);
  }

  protected override kernel({ rowWise }: Resolved): string {
    return rowWise ? 'adagrad-row-wise' : 'adagrad';
  }

  protected override initial(_name: string, { initialAccumulatorValue }: Resolved): number {
    return initialAccumulatorValue;
  }

  protected override constants({ lr, eps, lrDecay }: Resolved, t: number): number[] {
    return [lr / (1 + (t - 1) * lrDecay), eps];
  }
}
