import {
  type Declaration,
  defaultsOf,
  type GroupOptionsOf,
  type OptionsOf,
  type ResolvedOf,
} from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Params } from '../core/params.js';
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
    /** Added to the denominator, outside the root. */
    eps: { default: 1e-10, range: '[0, inf)' },
    /** Lowers lr with the param's own steps. */
    lrDecay: { default: 0, range: '[0, inf)' },
    /** What the sum of squares starts at. */
    initialAccumulatorValue: { default: 0, range: '[0, inf)', fixed: true },
    /** One accumulator a row, of the mean of its squares; for params with a shape. */
    rowWise: { default: false },
    /** L2 penalty. */
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
      accumulate: () => (meanSquare, sum) => sum + meanSquare,
      reference:
        ([lr, eps], [sum]) =>
        (_i, param, grad) =>
          param - f(f(lr * grad) / f(f(Math.sqrt(sum[0]!)) + eps)),
    }),
  },
} as const satisfies Declaration;

/** Options of {@link Adagrad}. @interface */
export type AdagradOptions = OptionsOf<typeof adagrad>;
type Now = ResolvedOf<typeof adagrad>;

/**
 * AdaGrad: each element's step shrinks with the root of the sum of its squared gradients.
 *
 * ```
 * s ← s + g²;   w ← w − η/(1 + (t−1)·lrDecay) · g / (√s + ε)
 * ```
 * With `rowWise`, each row of a param with a shape has one accumulator, `s ← s + mean(g²)`: half of the memory of an
 * embedding table, and less to read for each row that is touched.
 *
 * Options: `lr` (1e-2, [0, ∞)), `eps` (1e-10), `lrDecay` (0), `initialAccumulatorValue` (0, no Schedule), `rowWise`
 * (false), `weightDecay` (0, L2), `maximize` (false), `clipValue`; for all groups together `clipNorm`, `skipNonFinite`,
 * `zeroGrads`, `ema`, `gradNorm`, `flushDenormals`. State: `sum`, of the param's length or, with `rowWise`, of its rows.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Adagrad } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Adagrad(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Duchi, Hazan & Singer 2011, figure 1, https://jmlr.org/papers/v12/duchi11a.html
 */
export class Adagrad extends Optimizer<typeof adagrad> {
  static readonly optimizerName: string = adagrad.name;
  static readonly defaults: AdagradOptions = defaultsOf(adagrad);

  constructor(params: Params<GroupOptionsOf<typeof adagrad>>, options: AdagradOptions = {}) {
    super(adagrad, params, options);
  }

  protected override kernel({ rowWise }: Now): string {
    return rowWise ? 'adagrad-row-wise' : 'adagrad';
  }

  protected override initial(_name: string, { initialAccumulatorValue }: Now): number {
    return initialAccumulatorValue;
  }

  protected override constants({ lr, eps, lrDecay }: Now, t: number): number[] {
    return [lr / (1 + (t - 1) * lrDecay), eps];
  }
}
