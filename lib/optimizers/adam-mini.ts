import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { adam, constantsOf } from './adam.js';

export const adamMini = {
  name: 'AdamMini',
  reference:
    'Zhang et al., "Adam-mini: Use Fewer Learning Rates To Gain More", ICLR 2025, Algorithm 1, https://arxiv.org/abs/2406.16793',
  formula: [
    'm ← β₁·m + (1−β₁)·g;  s ← β₂·s + (1−β₂)·mean(g²), one s a block',
    'w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)',
  ],
  decay: 'decoupled',
  denseOnly: 'a mean needs the whole gradient of its block',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and of the means of g². */
    betas: { default: [0.9, 0.999], range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** The weights that share one s: a matrix row, the whole param, or a run of this many elements. */
    block: { default: 'row', choices: ['row', 'tensor'], range: '[1, inf)', integer: true, fixed: true },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: { 'adam-row-wise': { ...adam.kernels['adam-row-wise'], layout: { expAvgSq: 'block' } } },
  blockLength: ({ block }, { shape, columns, length }) => {
    if (typeof block === 'number') return block;
    return Math.max(1, block === 'row' && shape !== undefined && shape.length > 1 ? columns : length);
  },
} as const satisfies Declaration;

/** Options of {@link AdamMini}. @interface */
export type AdamMiniOptions = OptionsOf<typeof adamMini>;
type Resolved = ResolvedOf<typeof adamMini>;

/**
 * Adam-mini: {@link AdamW} with one second moment per block of weights, a moving average of the block's mean g². It
 * saves nearly half of AdamW's state memory.
 *
 * ```
 * w ← w·(1 − η·λ)
 * m ← β₁·m + (1−β₁)·g;   s ← β₂·s + (1−β₂)·mean(g²), one s a block
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
 * ```
 * With `block: 'row'`, each matrix row (index of `shape[0]`) is a block. Where rows are outputs, a block holds the
 * weights of one output. A param without a shape, or with a shape of rank 1 such as a bias, is one block. With
 * `block: 'tensor'`, each param is one block. With a number, each run of that many elements is one block: use
 * `rows · columns / heads` for the heads of an attention layer. The number must divide the length of the param.
 * `block: 1` is AdamW. The mean is summed in float64. You can assign `block` later: each s then starts with the mean of
 * its elements' s.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `betas` ([0.9, 0.999], each in [0, 1)), `eps` (ε, 1e-8, [0, ∞)), `block` (`'row'`,
 * `'tensor'`, or an integer in [1, ∞)), `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m), and `expAvgSq` (s), one number per block. A step updates the params and the state in place.
 *
 * @remarks
 * **When:** Transformers whose state takes too much memory for AdamW, with the lr of AdamW.
 *
 * **Pitfalls:** A block should hold weights whose gradients have a similar size. The published code chooses blocks by
 * the names of layers. Embeddings and the output layer get `block: 1`, which is AdamW. Queries and keys get a number
 * that makes each head a block. All others get `'tensor'`; for these, the paper recommends rows. Pass shapes, because a
 * plain `Float32Array` is one block. Kernels of TensorFlow.js are inputs × outputs, so their rows are inputs. Sparse
 * gradients need blocks that are matrix rows.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range, overlapping params, or
 *   a block that does not divide its param
 * @example
 * ```ts
 * import { AdamMini } from 'schuss';
 * const w = new Float32Array([1, 1, 1, 1]);
 * const adamMini = new AdamMini({ data: w, shape: [2, 2] }, { lr: 0.1 });
 * adamMini.step(new Float32Array([1, 7, 3, 3])); // √mean(g²) of the rows are 5 and 3: w is [0.98, 0.86, 0.9, 0.9]
 * ```
 * @see Zhang et al. 2025, Algorithm 1, https://arxiv.org/abs/2406.16793
 */
export class AdamMini<const P extends ParamsOf<typeof adamMini> = AnyParams> extends Optimizer<typeof adamMini, P> {
  static readonly optimizerName: string = adamMini.name;
  static readonly defaults: DefaultsOf<typeof adamMini> = defaultsOf(adamMini);

  constructor(params: Given<P, typeof adamMini>, options: AdamMiniOptions = {}) {
    super(adamMini, params, options);
  }

  protected override constants({ lr, betas, eps }: Resolved, t: number): number[] {
    return constantsOf({ lr, betas, eps, biasCorrection: true }, t);
  }
}
