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

export const ftrl = {
  name: 'FTRL',
  reference:
    'McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1, https://doi.org/10.1145/2487575.2488200',
  formula: [
    "n' ← n + g²;  σ = (√n' − √n)/η;  z ← z + g − σ·w",
    "w ← |z| ≤ l1 ? 0 : −(z − sign(z)·l1) / ((β + √n')/η + l2)",
  ],
  decay: 'none',
  hyperParameters: {
    /** Learning rate; above 0: the formula divides by it. */
    lr: { default: 0.05, range: '(0, inf)' },
    /** Added to the root of the sum of squares. */
    beta: { default: 1, range: '[0, inf)' },
    /** What the sum of squares starts at. */
    initialAccumulatorValue: { default: 0.1, range: '[0, inf)', fixed: true },
    /** L1 penalty: makes weights 0. */
    l1: { default: 0, range: '[0, inf)' },
    /** L2 penalty. */
    l2: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    ftrl: kernel({
      state: ['z', 'n'],
      constants: ['inverseLr', 'beta', 'l1', 'l2'],
      reference:
        ([inverseLr, beta, l1, l2], [z, n]) =>
        (i, param, grad) => {
          const before = f(Math.sqrt(n[i]!));
          n[i] = n[i]! + f(grad * grad);
          const after = f(Math.sqrt(n[i]!));
          z[i] = f(z[i]! + grad) - f(f(f(after - before) * inverseLr) * param);
          const pull = Math.abs(z[i]!) > l1 ? f(f(Math.sign(z[i]!) * l1) - z[i]!) : f(z[i]! - z[i]!);
          return pull / f(f(f(beta + after) * inverseLr) + l2);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link FTRL}. @interface */
export type FTRLOptions = OptionsOf<typeof ftrl>;
type Now = ResolvedOf<typeof ftrl>;

/**
 * FTRL-Proximal: the weights are at each step the best for all gradients so far and the penalties; those that the
 * gradients do not pull by more than `l1` are exactly 0.
 *
 * ```
 * n' ← n + g²;   σ = (√n' − √n)/η;   z ← z + g − σ·w
 * w ← |z| ≤ l1 ? 0 : −(z − sign(z)·l1) / ((β + √n')/η + l2)
 * ```
 * z starts at `−w·((β + √n₀)/η + l2) − sign(w)·l1`, so that a gradient of 0 keeps w. lr scales the weights themselves: an
 * lr that falls shrinks them, as in TensorFlow.
 *
 * Options: `lr` (0.05, (0, ∞)), `beta` (1), `initialAccumulatorValue` (0.1, no Schedule), `l1` (0), `l2` (0),
 * `maximize` (false), `clipValue`; for all groups together `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`, `gradNorm`,
 * `flushDenormals`. State: `z`, `n`.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { FTRL } from 'schuss';
 * const w = new Float32Array(1000);
 * new FTRL(w, { l1: 0.1 }).step(w.map((_, i) => (i % 2 ? 1 : 0.05))); // every other weight is still 0
 * ```
 * @see McMahan et al. 2013, Algorithm 1, https://doi.org/10.1145/2487575.2488200
 */
export class FTRL extends Optimizer<typeof ftrl> {
  static readonly optimizerName: string = ftrl.name;
  static readonly defaults: FTRLOptions = defaultsOf(ftrl);

  constructor(params: Params<GroupOptionsOf<typeof ftrl>>, options: FTRLOptions = {}) {
    super(ftrl, params, options);
  }

  protected override initial(name: string, { initialAccumulatorValue }: Now): number {
    return name === 'n' ? initialAccumulatorValue : 0;
  }

  protected override start(
    { lr, beta, l1, l2 }: Now,
    param: Float32Array,
    { z, n }: Readonly<Record<'z' | 'n', Float32Array>>,
  ): void {
    for (let i = 0; i < z.length; i++) {
      const w = param[i]!;
      z[i] = -w * ((beta + Math.sqrt(n[i]!)) / lr + l2) - Math.sign(w) * l1;
    }
  }

  protected override constants({ lr, beta, l1, l2 }: Now): number[] {
    return [1 / lr, beta, l1, l2];
  }
}
