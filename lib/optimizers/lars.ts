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

export const lars = {
  name: 'LARS',
  reference:
    'You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks", 2017, Algorithm 1, https://arxiv.org/abs/1708.03888',
  formula: ['r = trustCoefficient·‖w‖ / (‖g‖ + λ·‖w‖), 1 if a norm is 0', 'v ← μ·v + η·r·(g + λ·w);  w ← w − v'],
  decay: 'none',
  denseOnly: 'LARS needs the norm of the whole gradient',
  hyperParameters: {
    /** Learning rate. */
    lr: { required: true, range: '[0, inf)' },
    /** Decay rate of the momentum. */
    momentum: { default: 0.9, range: '[0, 1)' },
    /** How far a step may change a weight's norm, as a share of it, at lr 1. */
    trustCoefficient: {
      default: 1e-3,
      range: '(0, inf)',
    },
    /** L2 penalty, inside the formula. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    lars: kernel({
      state: ['momentumBuffer'],
      constants: ['lr', 'momentum', 'weightDecay', 'trustCoefficient', 'rate'],
      norms: {
        measure: () => (_i, param, grad, out) => {
          out[0] = param;
          out[1] = grad;
        },
        resolve: ([lr, momentum, weightDecay, trustCoefficient], weights, grads) => {
          const ratio = weights > 0 && grads > 0 ? (trustCoefficient * weights) / (grads + weightDecay * weights) : 1;
          return [lr, momentum, weightDecay, trustCoefficient, lr * ratio];
        },
      },
      reference:
        ([, momentum, weightDecay, , rate], [momentumBuffer]) =>
        (i, param, grad) => {
          const pull = f(rate * f(grad + f(weightDecay * param)));
          momentumBuffer[i] = f(momentum * momentumBuffer[i]!) + pull;
          return param - momentumBuffer[i]!;
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link LARS}. @interface */
export type LARSOptions = OptionsOf<typeof lars>;
type Now = ResolvedOf<typeof lars>;

/**
 * LARS: momentum with a rate for each param, in proportion to the ratio of the norms of its weights and its gradient, so
 * that no layer's step is large for its weights. For large batches.
 *
 * ```
 * r = trustCoefficient·‖w‖ / (‖g‖ + λ·‖w‖), 1 if a norm is 0
 * v ← μ·v + η·r·(g + λ·w);   w ← w − v
 * ```
 * g is the gradient after clipping. The norms are those of the whole param: sparse gradients are refused.
 *
 * Options: `lr` (required, [0, ∞)), `momentum` (0.9, [0, 1)), `trustCoefficient` (1e-3, (0, ∞)), `weightDecay` (0, in the
 * formula), `maximize` (false), `clipValue`; for all groups together `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm`, `flushDenormals`. State: `momentumBuffer`.
 *
 * @throws TypeError for an unknown option, a wrong type or a missing lr; RangeError for a value out of range or
 *   overlapping params
 * @example
 * ```ts
 * import { LARS } from 'schuss';
 * const w = new Float32Array([3, 4]); // its norm is 5
 * new LARS(w, { lr: 1, momentum: 0 }).step(new Float32Array([0, 0.5])); // w is [3, 3.995]
 * ```
 * @see You, Gitman & Ginsburg 2017, Algorithm 1, https://arxiv.org/abs/1708.03888
 */
export class LARS extends Optimizer<typeof lars> {
  static readonly optimizerName: string = lars.name;
  static readonly defaults: LARSOptions = defaultsOf(lars);

  constructor(params: Params<GroupOptionsOf<typeof lars>>, options: LARSOptions = {}) {
    super(lars, params, options);
  }

  protected override constants({ lr, momentum, weightDecay, trustCoefficient }: Now): number[] {
    return [lr, momentum, weightDecay, trustCoefficient, 0];
  }
}
