import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { largest } from '../engine/finite.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const fromage = {
  name: 'Fromage',
  reference:
    'Bernstein, Vahdat, Yue & Liu, "On the distance between two neural networks and the stability of learning", NeurIPS 2020, Algorithm 1, https://arxiv.org/abs/2002.03432',
  formula: [
    'r = ‖w‖/‖g‖ of each param, or 1 if one of both is 0',
    'w ← (w − η·r·g)/√(1 + η²)',
    'with pBound: then w ← w·min(1, pBound·‖w₀‖/‖w‖)',
  ],
  decay: 'none',
  denseOnly: 'Fromage needs the norm of the whole gradient',
  hyperParameters: {
    /** Learning rate: the relative change of each param in a step. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Upper bound on the norm of a param, relative to its initial norm. */
    pBound: { range: '(0, inf)' },
  },
  kernels: {
    fromage: kernel({
      state: [],
      constants: ['rate', 'shrink'],
      numbers: {
        names: ['initialNorm', 'isFirst', 'lr', 'pBound', 'rate', 'shrink'],
        sums: 3,
        measure: () => (_i, param, grad, add) => {
          add(0, param, param);
          add(1, grad, grad);
          add(2, param, grad);
        },
        decide: ([before, isFirst, lr, pBound], sums) => {
          const [params, grads, products] = sums as [number, number, number];
          const norm = Math.sqrt(params);
          const gradNorm = Math.sqrt(grads);
          const initialNorm = isFirst !== 0 ? norm : before;
          const wanted = norm > 0 && gradNorm > 0 ? lr * (norm / gradNorm) : lr;
          const rate = wanted > largest ? largest : wanted; // gradients may be denormal
          let shrink = 1 / Math.sqrt(1 + lr * lr);
          if (pBound !== 0) {
            const square = params - 2 * rate * products + rate * rate * grads;
            const next = square > 0 ? Math.sqrt(square) * shrink : 0;
            const most = pBound * initialNorm;
            if (next > most) shrink = shrink * (most / next);
          }
          return [initialNorm, isFirst, lr, pBound, rate, shrink];
        },
        resolve: (_, { 4: rate, 5: shrink }) => [rate, shrink],
      },
      reference:
        ([rate, shrink]) =>
        (_i, param, grad) =>
          shrink * f(param - f(rate * grad)),
    }),
  },
  scope: 'param',
  scalars: { initialNorm: 0 },
} as const satisfies Declaration;

/** Options of {@link Fromage}. @interface */
export type FromageOptions = OptionsOf<typeof fromage>;
type Resolved = ResolvedOf<typeof fromage>;

/**
 * Fromage: each step changes each param by the same fraction of its norm. It then shrinks the param a little, so that
 * the norm does not grow.
 *
 * ```
 * r = ‖w‖/‖g‖ of each param, or 1 if one of both is 0
 * w ← (w − η·r·g)/√(1 + η²)
 * with pBound: then w ← w·min(1, pBound·‖w₀‖/‖w‖)
 * ```
 * g is the gradient after clipping. The norms are those of the whole param, so sparse gradients are rejected. ‖w₀‖ is
 * the norm of the param at its first step.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `pBound` (none, (0, ∞)). It has no `weightDecay`.
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: the number `initialNorm` (‖w₀‖). A step updates the params in place.
 *
 * @remarks
 * **When:** Networks where one lr should suit all layers, such as GANs and transformers. It keeps no state arrays.
 *
 * **Pitfalls:** Every step has the same relative length, so lr must decay. Its authors divide it by 10 when the loss
 * stalls. Set `pBound` if a network without normalization overfits because its weights grow. With `pBound`, a param
 * that starts at 0 stays 0, so leave it out of such groups. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Fromage } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * new Fromage(w, { lr: 0.75 }).step(new Float32Array([0, 10])); // r is 0.5: w is [2.4, 0.2]
 * ```
 * @see Bernstein et al. 2020, Algorithm 1, https://arxiv.org/abs/2002.03432
 */
export class Fromage<const P extends ParamsOf<typeof fromage> = AnyParams> extends Optimizer<typeof fromage, P> {
  static readonly optimizerName: string = fromage.name;
  static readonly defaults: DefaultsOf<typeof fromage> = defaultsOf(fromage);

  constructor(params: Given<P, typeof fromage>, options: FromageOptions = {}) {
    super(fromage, params, options);
  }

  protected override inputs([group]: readonly Resolved[], t: number): number[] {
    const { lr, pBound } = group!;
    return [t === 1 ? 1 : 0, lr, pBound ?? 0, 0, 0];
  }

  protected override constants(): number[] {
    return [0, 1]; // rate and shrink, which the numbers give
  }
}
