import {
  type Declaration,
  type DefaultsOf,
  defaultsOf,
  type OptionsOf,
  type PlainOptions,
  type ResolvedOf,
} from '../core/declaration.js';
import { methodOf } from '../core/internals.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { type Matrix, matrixKernel } from '../engine/kernel.js';
import { type Matmul, plain, transposed } from '../engine/matmul.js';
import { adam, constantsOf as adamConstants } from './adam.js';

const f = Math.fround;

const maxTriples = 10;
const coefficientNames = Array.from({ length: maxTriples }, (_, i) => [`a${i}`, `b${i}`, `c${i}`]).flat();
const firstCoefficient = 7;

/** y ← a·x + b·y, in float32. */
function combine(a: number, x: Float32Array, b: number, y: Float32Array): void {
  for (let i = 0; i < y.length; i++) y[i] = f(a * x[i]!) + f(b * y[i]!);
}

/** In the order of `adjusted` in native/kernels/muon.h. */
const adjustments: readonly ((rows: number, columns: number) => number)[] = [
  () => 1,
  (rows, columns) => (rows > columns ? Math.sqrt(rows / columns) : 1),
  (rows, columns) => (columns > rows ? Math.sqrt(columns / rows) : 1),
  (rows, columns) => 0.2 * Math.sqrt(rows > columns ? rows : columns),
];

/** Which of the adjustments the options select. */
function adjustmentOf({ adjustLrFn, outputs }: Resolved): number {
  if (adjustLrFn === 'original') return outputs === 'rows' ? 1 : 2;
  return adjustLrFn === 'none' ? 0 : 3;
}

/** The Newton–Schulz iteration brings all singular values near 1. It multiplies on the side with fewer rows. */
function orthogonalize(constants: readonly number[], { data, rows, columns, norm }: Matrix, multiply: Matmul) {
  const [, , eps, lr, adjustment, , nsSteps] = constants as [number, number, number, number, number, number, number];
  const isWide = rows <= columns;
  const side = isWide ? rows : columns;
  const gram = new Float32Array(side * side);
  const square = new Float32Array(side * side);
  const divisor = f(norm) > eps ? f(norm) : eps;
  let x = data.map((u) => u / divisor);
  let next = new Float32Array(x.length);
  for (let step = 0; step < nsSteps; step++) {
    const at = firstCoefficient + 3 * (step < maxTriples ? step : maxTriples - 1);
    const [a, b, c] = constants.slice(at, at + 3) as [number, number, number];
    const [itself, turned] = [plain(x, columns), transposed(x, columns)];
    const ofGram = { out: gram, rows: side, columns: side, depth: x.length / side, isSymmetric: true };
    multiply({ a: isWide ? itself : turned, b: isWide ? turned : itself, ...ofGram });
    const factor = plain(gram, side);
    multiply({ a: factor, b: factor, out: square, rows: side, columns: side, depth: side, isSymmetric: true });
    combine(b, gram, c, square);
    const polynomial = plain(square, side);
    const ofNext = { out: next, rows, columns, depth: side, isSymmetric: false };
    multiply({ a: isWide ? polynomial : itself, b: isWide ? itself : polynomial, ...ofNext });
    combine(a, x, 1, next);
    [x, next] = [next, x];
  }
  const rate = lr * adjustments[adjustment]!(rows, columns);
  return { matrix: x, constants: constants.map((value, i) => (i === 5 ? rate : value)) };
}

function decayFactor(options: PlainOptions, kernel: string): number | undefined {
  const { lr, adamLr = lr, weightDecay, adamWeightDecay = weightDecay } = options as Record<string, number>;
  return kernel === 'adam' ? 1 - adamLr! * adamWeightDecay! : undefined;
}

/** The options of the params that AdamW updates. */
function adamOptions({ lr, adamLr, adamBetas, adamEps }: Resolved) {
  return { lr: adamLr ?? lr, betas: adamBetas, eps: adamEps, biasCorrection: true };
}

export const muon = {
  name: 'Muon',
  reference:
    'Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/',
  formula: [
    'w ← w·(1 − η·λ)',
    'B ← μ·B + g;  u = g + μ·B (nesterov) or B;  X = u/max(‖u‖, ε)',
    'nsSteps times:  A = XXᵀ;  X ← a·X + (b·A + c·A²)X',
    'w ← w − η·s·X;  s = √max(1, rows/columns), 0.2·√max(rows, columns) or 1',
    'params that are no matrices: AdamW',
  ],
  decay: 'decoupled',
  decayFactor,
  denseOnly: 'Muon needs the whole gradient of a matrix',
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-3, range: '[0, inf)' },
    /** Momentum factor. */
    momentum: { default: 0.95, range: '[0, 1)' },
    /** Use Nesterov momentum. */
    nesterov: { default: true },
    /**
     * Number of Newton–Schulz iterations, 5 if it is not given. With a list of nsCoefficients, the list's length sets
     * it.
     */
    nsSteps: { range: '[0, 99]', integer: true, fixed: true },
    /** The coefficients a, b and c of all iterations; or a list of such triples, one per iteration. */
    nsCoefficients: { default: [3.4445, -4.775, 2.0315], range: '(-inf, inf)', most: maxTriples },
    /** Lower bound on the norm that the update is divided by. */
    eps: { default: 1e-7, range: '(0, inf)' },
    /** How the rate depends on the shape: √max(1, rows/columns), 0.2·√max(rows, columns), or not at all. */
    adjustLrFn: { default: 'original', choices: ['original', 'match_rms_adamw', 'none'] },
    /** Whether the rows or the columns of a matrix are the outputs of its layer. It only matters for 'original'. */
    outputs: { default: 'rows', choices: ['rows', 'columns'] },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0.1, range: '[0, inf)' },
    /** Update matrices with Muon. Without it, AdamW updates them. */
    useMuon: { default: true },
    /** Learning rate of AdamW: lr if it is not given. */
    adamLr: { range: '[0, inf)' },
    /** Decay rates of AdamW's moving averages of g and g². */
    adamBetas: { default: [0.9, 0.95], range: '[0, 1)' },
    /** Added to AdamW's denominator, outside the square root. */
    adamEps: { default: 1e-10, range: '[0, inf)' },
    /** Decoupled weight decay of AdamW: weightDecay if it is not given. */
    adamWeightDecay: { range: '[0, inf)' },
  },
  kernels: {
    muon: matrixKernel({
      state: ['momentumBuffer'],
      constants: ['momentum', 'nesterov', 'eps', 'lr', 'adjustment', 'rate', 'nsSteps', ...coefficientNames],
      matrix: {
        fill:
          ([momentum, nesterov]: readonly number[], [momentumBuffer]: readonly Float32Array[]) =>
          (i, grad) => {
            momentumBuffer![i] = f(momentum! * momentumBuffer![i]!) + grad;
            return nesterov === 0 ? momentumBuffer![i]! : grad + f(momentum! * momentumBuffer![i]!);
          },
        transform: orthogonalize,
      },
      reference:
        ({ 5: rate }: readonly number[], [matrix]) =>
        (i, param) =>
          param - f(rate! * matrix[i]!),
    }),
    adam: adam.kernels.adam,
  },
  methods: { muon: 'muon', adam: 'adamw' },
} as const satisfies Declaration;

/** Options of {@link Muon}. @interface */
export type MuonOptions = OptionsOf<typeof muon>;
type Resolved = ResolvedOf<typeof muon>;

const isList = (value: Resolved['nsCoefficients']): value is readonly (readonly [number, number, number])[] =>
  typeof value[0] === 'object';

/**
 * Muon: momentum SGD whose update of a matrix is replaced by the nearest orthogonal matrix. AdamW updates all other
 * params, in the same optimizer.
 *
 * ```
 * w ← w·(1 − η·λ)
 * B ← μ·B + g;   u = g + μ·B with nesterov, else B;   X = u/max(‖u‖, ε)
 * nsSteps times:   A = XXᵀ;   X ← a·X + (b·A + c·A²)X
 * w ← w − η·s·X
 * ```
 * s is √max(1, rows/columns) with `adjustLrFn: 'original'`, 0.2·√max(rows, columns) with `'match_rms_adamw'`, and 1
 * with `'none'`. For weights stored as inputs × outputs, `outputs: 'columns'` swaps rows and columns in `'original'`.
 * All products are computed in float32, on the side with fewer rows.
 *
 * **Which params:** A param with a shape of two or more dimensions is a matrix: `shape[0]` is the number of rows, which
 * are the layer's outputs. The product of the other dimensions is the number of columns. AdamW updates a param without
 * a shape, one with a single dimension, and each param of a group with `useMuon: false`. `toString()` and
 * {@link Muon.methodOf} show the method of each param.
 *
 * Options: `lr` (η, 1e-3, [0, ∞)), `momentum` (μ, 0.95, [0, 1)), `nesterov` (true), `nsSteps` (5, an integer in
 * [0, 99]), `nsCoefficients` (a, b and c, [3.4445, −4.775, 2.0315]; or a list of up to 10 triples, one per iteration,
 * without nsSteps), `eps` (ε, 1e-7, (0, ∞)), `adjustLrFn` ('original'), `outputs` ('rows'), `weightDecay` (λ, 0.1,
 * [0, ∞), decoupled), `useMuon` (true). For AdamW: `adamLr` (lr, [0, ∞)), `adamBetas` ([0.9, 0.95], each in [0, 1)),
 * `adamEps` (1e-10, [0, ∞)), `adamWeightDecay` (weightDecay, [0, ∞)).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `momentumBuffer` (B) of a matrix; `expAvg` and `expAvgSq` of a param of AdamW. A step updates the params and
 * the state in place.
 *
 * @remarks
 * **When:** The hidden matrices of transformers and other large networks.
 *
 * **Pitfalls:** Put embeddings and the output layer into a group with `useMuon: false`, although they are matrices. A
 * plain `Float32Array` has no shape, so AdamW updates it: pass `{ data, shape }`. `console.log(muon)` shows the method
 * of each param. PyTorch stores a layer as outputs × inputs. TensorFlow.js and JAX have inputs × outputs: set
 * `outputs: 'columns'`, as `wrap(Muon)` does by itself. `'match_rms_adamw'` takes an lr that suits AdamW. PyTorch
 * computes the products in bfloat16. Its buffer is μ·B + (1−μ)·g, which gives the same X. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range, overlapping params, or
 *   nsSteps beside a list of nsCoefficients
 * @example
 * ```ts
 * import { Muon } from 'schuss';
 * const params = { weight: { data: new Float32Array([1, 0, 0, 1]), shape: [2, 2] }, bias: new Float32Array(2) };
 * const muon = new Muon(params, { lr: 0.02, adamLr: 1e-3 });
 * muon.step({ weight: new Float32Array([0.3, 0.1, 0, 0.2]), bias: new Float32Array([1, -1]) });
 * console.log(muon.methodOf('weight'), muon.methodOf('bias')); // muon adamw
 * ```
 * @see Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; scale of the rate: Liu et al. 2025,
 *   https://arxiv.org/abs/2502.16982
 */
export class Muon<const P extends ParamsOf<typeof muon> = AnyParams> extends Optimizer<typeof muon, P> {
  static readonly optimizerName: string = muon.name;
  static readonly defaults: DefaultsOf<typeof muon> = defaultsOf(muon);

  constructor(params: Given<P, typeof muon>, options: MuonOptions = {}) {
    super(muon, params, options);
  }

  /**
   * The method that updates a param: `'muon'` for a matrix, `'adamw'` for all others.
   *
   * @param name The name of the param; its index if the params are a list, 0 if it stands alone.
   * @throws TypeError for an unknown name
   */
  methodOf(name: string | number): 'muon' | 'adamw' {
    return methodOf(this as unknown as Optimizer, 'Muon.methodOf', name) as 'muon' | 'adamw';
  }

  protected override conflict({ nsSteps, nsCoefficients }: Resolved): readonly [string, string, string] | undefined {
    return nsSteps !== undefined && isList(nsCoefficients)
      ? ['nsSteps', String(nsSteps), 'undefined, because nsCoefficients lists a triple for each step']
      : undefined;
  }

  protected override kernel({ useMuon }: Resolved, shape: Shape): string {
    return useMuon && shape !== undefined && shape.length > 1 ? 'muon' : 'adam';
  }

  protected override constants(resolved: Resolved, t: number, _: readonly number[], kernel: string): readonly number[] {
    if (kernel === 'adam') return adamConstants(adamOptions(resolved), t);
    const { lr, momentum, nesterov, nsSteps = 5, nsCoefficients, eps } = resolved;
    const steps = isList(nsCoefficients) ? nsCoefficients.length : nsSteps;
    const constants = [momentum, nesterov ? 1 : 0, eps, lr, adjustmentOf(resolved), 0, steps];
    for (let i = 0; i < maxTriples; i++) {
      const triple = isList(nsCoefficients) ? (nsCoefficients[i] ?? [0, 0, 0]) : nsCoefficients;
      constants.push(triple[0], triple[1], triple[2]);
    }
    return constants;
  }
}
