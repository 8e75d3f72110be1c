import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const dowg = {
  name: 'DoWG',
  reference:
    'Khaled, Mishchenko & Jin, "DoWG Unleashed: An Efficient Universal Parameter-Free Gradient Descent Method", NeurIPS 2023, Algorithm 1, https://arxiv.org/abs/2305.16284',
  formula: [
    'over the params of a group: r² ← max(r², ‖w − w₀‖²), from initEstimSqDist, or else from ε',
    'G ← G + r²·‖g‖²;  w ← w − η·r²/(√G + ε)·g',
  ],
  decay: 'l2',
  denseOnly: 'DoWG needs the norm of the whole gradient',
  hyperParameters: {
    /** Multiplies the rate that the method finds. Leave it at 1, or set a schedule. */
    lr: { default: 1, range: '[0, inf)' },
    /** Added to the denominator. Also the initial value of r² if initEstimSqDist is not given. */
    eps: { default: 1e-4, range: '(0, inf)' },
    /** Initial value of r², the estimated squared distance from the initial params to a solution. */
    initEstimSqDist: { range: '(0, inf)' },
    /** L2 penalty: adds weightDecay · w to the gradient. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    dowg: kernel({
      state: ['initial'],
      constants: ['rate'],
      numbers: {
        names: ['r', 'G', 'lr', 'start', 'eps', 'rate'],
        sums: 2,
        measure:
          (_, [initial]) =>
          (i, param, grad, add) => {
            add(0, grad, grad);
            const distance = f(param - initial[i]!);
            add(1, distance, distance);
          },
        decide: ([r, before, lr, start, eps], [squares, distances]) => {
          const known = r === 0 ? Math.sqrt(start) : r;
          const distance = Math.sqrt(distances!);
          const next = distance > known ? distance : known;
          const square = next * next;
          const sum = before + square * squares!;
          return [next, sum, lr, start, eps, (lr * square) / (Math.sqrt(sum) + eps)];
        },
        resolve: (_, { 5: rate }) => [rate],
      },
      reference:
        ([rate]) =>
        (_i, param, grad) =>
          param - f(rate * grad),
    }),
  },
  // Both are 0 before the first step.
  scope: 'group',
  scalars: { r: 0, G: 0 },
} as const satisfies Declaration;

/** Options of {@link DoWG}. @interface */
export type DoWGOptions = OptionsOf<typeof dowg>;
type Resolved = ResolvedOf<typeof dowg>;

/**
 * DoWG: {@link DoG} with squared gradient norms weighted by the squared distance. Later gradients count more, so the
 * steps stay longer.
 *
 * ```
 * r² ← max(r², ‖w − w₀‖²), from initEstimSqDist, or else from ε
 * G ← G + r²·‖g‖²;  w ← w − η·r²/(√G + ε)·g
 * ```
 * Norms and sums are over all params of a group. w₀ is a copy of the params at their first step. g is the gradient
 * after clipping and L2 decay.
 *
 * Options: `lr` (η, 1, [0, ∞)), `eps` (ε, 1e-4, (0, ∞)), `initEstimSqDist` (none, (0, ∞)), `weightDecay` (λ, 0, [0, ∞),
 * L2).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `initial` (w₀), and the numbers `r` and `G`, the same in each param of a group. A step updates the params and
 * the state in place.
 *
 * @remarks
 * **When:** As {@link DoG}, and for full or large batches. It adapts to smooth and to non-smooth problems.
 *
 * **Pitfalls:** The first step has the length √ε, 0.01 by default, however small the params are. Set `initEstimSqDist`
 * if your params are much smaller or larger. The rate does not decay by itself: average the weights, with `ema` or a
 * {@link WeightAverage}. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { DoWG } from 'schuss';
 * const w = new Float32Array([3, 4]);
 * const dowg = new DoWG(w, { initEstimSqDist: 0.25 });
 * dowg.step(new Float32Array([6, 8])); // the step has the length 0.5
 * console.log(dowg.r, dowg.G); // 0.5 and 25
 * ```
 * @see Khaled, Mishchenko & Jin 2023, Algorithm 1, https://arxiv.org/abs/2305.16284; optax' `contrib.dowg`
 */
export class DoWG<const P extends ParamsOf<typeof dowg> = AnyParams> extends Optimizer<typeof dowg, P> {
  static readonly optimizerName: string = dowg.name;
  static readonly defaults: DefaultsOf<typeof dowg> = defaultsOf(dowg);

  constructor(params: Given<P, typeof dowg>, options: DoWGOptions = {}) {
    super(dowg, params, options);
  }

  /**
   * r of the first group: the largest distance from the initial params at the start of a step, or the initial r if that
   * is larger. 0 before the first step.
   */
  get r(): number {
    return this.firstScalars[0] ?? 0;
  }

  /** G, the sum of the squared gradient norms of the first group, weighted by r². 0 before the first step. */
  get G(): number {
    return this.firstScalars[1] ?? 0;
  }

  protected override start(
    _options: Resolved,
    param: Float32Array,
    { initial }: Readonly<Record<string, Float32Array>>,
  ): void {
    initial!.set(param);
  }

  protected override inputs([group]: readonly Resolved[]): number[] {
    const { lr, eps, initEstimSqDist } = group!;
    return [lr, initEstimSqDist ?? eps, eps, 0];
  }

  protected override constants(): number[] {
    return [0]; // rate, which the numbers give
  }
}
