import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;
/** The largest float32, and the largest one with a finite square. */
const [largest, limit] = [(2 - 2 ** -23) * 2 ** 127, f(1.8446743e19)];

export const ftrl = {
  name: 'FTRL',
  reference:
    'McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1, https://doi.org/10.1145/2487575.2488200',
  formula: [
    "n' ← n + g²;  σ = (√n' − √n)/η;  z ← z + g − σ·w",
    "w ← |z| ≤ l1 ? 0 : −(z − sign(z)·l1) / ((β + √n')/η + l2)",
  ],
  decay: 'none',
  float32State: 'it computes the weights from its state',
  hyperParameters: {
    /** Learning rate. Must be above 0, because the formula divides by it. */
    lr: { default: 0.05, range: '(0, inf)' },
    /** Added to the square root of the sum of squares. */
    beta: { default: 1, range: '[0, inf)' },
    /** Initial value of the sum of squares. */
    initialAccumulatorValue: { default: 0.1, range: '[0, inf)', fixed: true },
    /** L1 penalty: makes weights exactly 0. */
    l1: { default: 0, range: '[0, inf)' },
    /** L2 penalty, inside the formula. */
    l2: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    ftrl: kernel({
      state: ['z', 'n'],
      constants: ['inverseLr', 'beta', 'l1', 'l2'],
      reference:
        ([inverseLr, beta, l1, l2], [z, n]) =>
        (i, param, grad) => {
          const raised = -limit > grad ? -limit : grad;
          const seen = limit < raised ? limit : raised;
          const before = f(Math.sqrt(n[i]!));
          const sum = f(n[i]! + f(seen * seen));
          n[i] = largest < sum ? largest : sum;
          const after = f(Math.sqrt(n[i]!));
          z[i] = f(z[i]! + seen) - f(f(f(after - before) * inverseLr) * param);
          // z − z is 0, or NaN where z is NaN: a NaN must not become a weight of 0.
          const pull = Math.abs(z[i]!) > l1 ? f(f(Math.sign(z[i]!) * l1) - z[i]!) : f(z[i]! - z[i]!);
          return pull / f(f(f(beta + after) * inverseLr) + l2);
        },
    }),
  },
} as const satisfies Declaration;

/** Options of {@link FTRL}. @interface */
export type FTRLOptions = OptionsOf<typeof ftrl>;
type Resolved = ResolvedOf<typeof ftrl>;

/**
 * FTRL-Proximal: the weights minimize the linearized losses of all steps so far, a proximal term, and L1 and L2
 * penalties.
 *
 * ```
 * n' ← n + g²;   σ = (√n' − √n)/η;   z ← z + g − σ·w
 * w ← |z| ≤ l1 ? 0 : −(z − sign(z)·l1) / ((β + √n')/η + l2)
 * ```
 * A weight with |z| ≤ `l1` is exactly 0, so `l1` gives sparse weights.
 *
 * z starts at `−w·((β + √n₀)/η + l2) − sign(w)·l1`, so that a gradient of 0 leaves w unchanged. `lr` scales the weights
 * themselves: as in TensorFlow, lowering it shrinks them. |g| is clamped to 1.8e19, so that its square is finite.
 *
 * Options: `lr` (η, 0.05, (0, ∞)), `beta` (β, 1, [0, ∞)), `initialAccumulatorValue` (n₀, 0.1, [0, ∞), not a Schedule),
 * `l1` (0, [0, ∞)), `l2` (0, [0, ∞)).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `z`, `n`. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Click-through models: sparse gradients, and weights that become exactly 0 with `l1`.
 *
 * **Pitfalls:** `lr` scales the weights themselves, so a schedule that lowers it shrinks them. Each update computes w
 * anew from z and n: a value that you write into the params in between is mostly lost.
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
export class FTRL<const P extends ParamsOf<typeof ftrl> = AnyParams> extends Optimizer<typeof ftrl, P> {
  static readonly optimizerName: string = ftrl.name;
  static readonly defaults: DefaultsOf<typeof ftrl> = defaultsOf(ftrl);

  constructor(params: Given<P, typeof ftrl>, options: FTRLOptions = {}) {
    super(ftrl, params, options);
  }

  protected override initial(name: string, { initialAccumulatorValue }: Resolved): number {
    return name === 'n' ? initialAccumulatorValue : 0;
  }

  protected override start(
    { lr, beta, l1, l2 }: Resolved,
    param: Float32Array,
    { z, n }: Readonly<Record<'z' | 'n', Float32Array>>,
  ): void {
    for (let i = 0; i < z.length; i++) {
      const w = param[i]!;
      z[i] = -w * ((beta + Math.sqrt(n[i]!)) / lr + l2) - Math.sign(w) * l1;
    }
  }

  protected override constants({ lr, beta, l1, l2 }: Resolved): number[] {
    return [1 / lr, beta, l1, l2];
  }
}
