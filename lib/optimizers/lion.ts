import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { cautiousFormula, withCautious } from '../engine/cautious.js';
import { kernel } from '../engine/kernel.js';

const f = Math.fround;

export const lion = {
  name: 'Lion',
  reference:
    'Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, Algorithm 2, https://arxiv.org/abs/2302.06675',
  formula: ['w ← w·(1 − η·λ);  c = β₁·m + (1−β₁)·g', 'w ← w − η·sign(c);  m ← β₂·m + (1−β₂)·g', cautiousFormula],
  decay: 'decoupled',
  hyperParameters: {
    /** Learning rate: how far each element moves in a step. Use a third to a tenth of AdamW's. */
    lr: { default: 1e-4, range: '[0, inf)' },
    /** Decay rates: β₁ mixes g into the update direction, β₂ into the stored moving average. */
    betas: { default: [0.9, 0.99], range: '[0, 1)' },
    /**
     * Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. Use three to ten times AdamW's.
     */
    weightDecay: { default: 0, range: '[0, inf)' },
    /** Update only the elements whose step opposes their gradient, and scale these steps up to compensate. */
    cautious: { default: false },
  },
  kernels: withCautious({
    lion: kernel({
      state: ['expAvg'],
      constants: ['lr', 'beta1', 'oneMinusBeta1', 'beta2', 'oneMinusBeta2'],
      reference:
        ([lr, beta1, oneMinusBeta1, beta2, oneMinusBeta2], [expAvg]) =>
        (i, param, grad) => {
          const direction = Math.sign(f(f(beta1 * expAvg[i]!) + f(oneMinusBeta1 * grad)));
          expAvg[i] = f(beta2 * expAvg[i]!) + f(oneMinusBeta2 * grad);
          return param - f(lr * direction);
        },
    }),
  }),
} as const satisfies Declaration;

/** Options of {@link Lion}. @interface */
export type LionOptions = OptionsOf<typeof lion>;
type Resolved = ResolvedOf<typeof lion>;

/**
 * Lion: moves every element by `lr`, against the sign of an interpolation between momentum and gradient.
 *
 * ```
 * w ← w·(1 − η·λ);      c = β₁·m + (1−β₁)·g
 * w ← w − η·sign(c);    m ← β₂·m + (1−β₂)·g
 * ```
 * Options: `lr` (η, 1e-4, [0, ∞)), `betas` ([0.9, 0.99], each in [0, 1)), `weightDecay` (λ, 0, [0, ∞), decoupled),
 * `cautious` (false, see {@link Adam}).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m). A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Little memory: it keeps half of Adam's state. It works best with large batches.
 *
 * **Pitfalls:** Every weight moves by lr in each step, so take a third to a tenth of AdamW's lr and 3 to 10 times its
 * `weightDecay`. With small batches, the sign of pure noise moves a weight as far as a clear gradient does.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Lion } from 'schuss';
 * const w = new Float32Array([1, 2, 3]);
 * new Lion(w, { lr: 0.1 }).step(new Float32Array([0.5, 0, -0.5])); // w is [0.9, 2, 3.1]
 * ```
 * @see Chen et al. 2023, Algorithm 2, https://arxiv.org/abs/2302.06675
 */
export class Lion<const P extends ParamsOf<typeof lion> = AnyParams> extends Optimizer<typeof lion, P> {
  static readonly optimizerName: string = lion.name;
  static readonly defaults: DefaultsOf<typeof lion> = defaultsOf(lion);

  constructor(params: Given<P, typeof lion>, options: LionOptions = {}) {
    super(lion, params, options);
  }

  protected override kernel({ cautious }: Resolved): string {
    return cautious ? 'lion-cautious' : 'lion';
  }

  protected override constants({ lr, betas: [beta1, beta2] }: Resolved): number[] {
    return [lr, beta1, 1 - beta1, beta2, 1 - beta2];
  }
}
