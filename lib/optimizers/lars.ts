import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, EachHas, Given, ParamsOf } from '../core/params-of.js';
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
    /** Momentum factor; 0 disables momentum. */
    momentum: { default: 0.9, range: '[0, 1)' },
    /** Relative size of a step: at lr 1 and without momentum, its norm is at most trustCoefficient · ‖w‖. */
    trustCoefficient: { default: 1e-3, range: '(0, inf)' },
    /** L2 penalty inside the formula: also lowers the trust ratio. */
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
        resolve: ([lr, momentum, weightDecay, trustCoefficient], paramNorm, gradNorm) => {
          const trustRatio =
            paramNorm > 0 && gradNorm > 0 ? (trustCoefficient * paramNorm) / (gradNorm + weightDecay * paramNorm) : 1;
          return [lr, momentum, weightDecay, trustCoefficient, lr * trustRatio];
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
type Resolved = ResolvedOf<typeof lars>;

/**
 * LARS: momentum SGD that scales each param's step by the ratio of the norms of its weights and gradient. For large
 * batches.
 *
 * ```
 * r = trustCoefficient·‖w‖ / (‖g‖ + λ·‖w‖), 1 if a norm is 0
 * v ← μ·v + η·r·(g + λ·w);   w ← w − v
 * ```
 * This keeps the step of every layer small relative to its weights. g is the gradient after clipping. The norms are
 * those of the whole param, so sparse gradients are rejected.
 *
 * Options: `lr` (η, required, [0, ∞)), `momentum` (μ, 0.9, [0, 1)), `trustCoefficient` (1e-3, (0, ∞)), `weightDecay`
 * (λ, 0, [0, ∞), in the formula).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `momentumBuffer` (v). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Image classifiers with batches of thousands.
 *
 * **Pitfalls:** `lr` is large, 1 or more, because `trustCoefficient` scales it down. It needs a warm-up. A param whose
 * norm is 0, such as a new bias, takes the ratio 1, so its first step is that of momentum SGD with this large lr. Many
 * recipes leave biases to another optimizer. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option, a wrong type or a missing lr; RangeError for a value out of range or
 *   overlapping params
 * @example
 * ```ts
 * import { LARS } from 'schuss';
 * const w = new Float32Array([3, 4]); // ‖w‖ is 5
 * new LARS(w, { lr: 1, momentum: 0 }).step(new Float32Array([0, 0.5])); // w is [3, 3.995]
 * ```
 * @see You, Gitman & Ginsburg 2017, Algorithm 1, https://arxiv.org/abs/1708.03888
 */
export class LARS<const P extends ParamsOf<typeof lars> = AnyParams> extends Optimizer<typeof lars, P> {
  static readonly optimizerName: string = lars.name;
  static readonly defaults: DefaultsOf<typeof lars> = defaultsOf(lars);

  /** With `lr` in every group, the options may lack it. */
  constructor(params: Given<P, typeof lars> & EachHas<P, 'lr'>, options?: DefaultsOf<typeof lars>);
  constructor(params: Given<P, typeof lars>, options: LARSOptions);
  constructor(params: object, options: DefaultsOf<typeof lars> = {}) {
    super(lars, params, options);
  }

  protected override constants({ lr, momentum, weightDecay, trustCoefficient }: Resolved): number[] {
    return [lr, momentum, weightDecay, trustCoefficient, 0];
  }
}
