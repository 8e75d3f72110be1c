import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { type KernelDeclaration, type Matrix, type MatrixShape, matrixKernel } from '../engine/kernel.js';
import { type Factor, type Matmul, plain } from '../engine/matmul.js';
import { referenceEigen } from '../engine/reference-eigen.js';
import { dot } from '../engine/reference-linalg.js';

const f = Math.fround;

const constants = [
  'isFirst',
  'beta1',
  'oneMinusBeta1',
  'biasCorrection1',
  'beta2',
  'factorRate',
  'divisor',
  'eps',
  'isRefreshed',
  'isPreconditioned',
  'grafting',
  'graftingBeta',
  'graftingRate',
  'graftingCorrection',
  'graftingEps',
  'lr',
] as const;
type Constants = { readonly [K in (typeof constants)[number]]: number };
const named = (values: readonly number[]): Constants =>
  Object.fromEntries(constants.map((name, i) => [name, values[i]])) as Constants;

const graftings = ['none', 'sgd', 'adagrad', 'rmsprop', 'adam'] as const;

/** The begins and lengths of the parts that a dimension is cut into. */
function partsOf(length: number, side: number): (readonly [begin: number, length: number])[] {
  const parts: (readonly [number, number])[] = [];
  for (let begin = 0; begin < length; begin += side) parts.push([begin, Math.min(side, length - begin)]);
  return parts;
}
const squares = (length: number, side: number): number => Math.floor(length / side) * side ** 2 + (length % side) ** 2;

function ownLength(name: string, { rows, columns, side }: MatrixShape): number {
  return name.startsWith('left')
    ? Math.ceil(columns / side) * squares(rows, side)
    : Math.ceil(rows / side) * squares(columns, side);
}

/** A part of the matrix, and the factors and roots of its sides. */
interface Block {
  readonly begin: number;
  readonly rows: number;
  readonly columns: number;
  readonly left: Float32Array;
  readonly leftRoot: Float32Array;
  readonly right: Float32Array | undefined;
  readonly rightRoot: Float32Array | undefined;
}

/** Averages the product of the gradients of one side, and computes its root anew if it is time. */
function updateFactor(
  c: Constants,
  multiply: Matmul,
  { a, b, side, depth }: { a: Factor; b: Factor; side: number; depth: number },
  factor: Float32Array,
  root: Float32Array,
  isQuarter: boolean,
): void {
  const gram = new Float32Array(side * side);
  if (c.isFirst !== 0) {
    factor.fill(0);
    for (let i = 0; i < root.length; i++) root[i] = i % (side + 1) === 0 ? 1 : 0; // until the first one is computed
  }
  multiply({ a, b, out: gram, rows: side, columns: side, depth, isSymmetric: true });
  for (let i = 0; i < gram.length; i++) factor[i] = f(c.factorRate * gram[i]!) + f(c.beta2 * factor[i]!);
  const { divisor, eps } = c;
  if (c.isRefreshed !== 0) referenceEigen.inverseRoot(factor, side, { divisor, eps, isQuarter }, root);
}

/** Replaces a block of gradients by its update. */
function transformBlock(
  c: Constants,
  { data, columns: width }: Matrix,
  block: Block,
  [expAvg, squareAvg]: readonly [Float32Array, Float32Array | undefined],
  multiply: Matmul,
): void {
  const { begin, rows, columns, left, leftRoot, right, rightRoot } = block;
  const length = rows * columns;
  const place = (n: number): number => begin + Math.floor(n / columns) * width + (n % columns);
  const grads: Factor = { data: data.subarray(begin), rowStride: width, columnStride: 1 };
  const turned: Factor = { ...grads, rowStride: 1, columnStride: width };
  updateFactor(c, multiply, { a: grads, b: turned, side: rows, depth: columns }, left, leftRoot, right !== undefined);
  if (right !== undefined)
    updateFactor(c, multiply, { a: turned, b: grads, side: columns, depth: rows }, right, rightRoot!, true);
  const direction = Float32Array.from({ length }, (_, n) => expAvg[place(n)]! / c.biasCorrection1);
  let update = direction;
  if (c.isPreconditioned !== 0) {
    const ofBlock = { rows, columns, isSymmetric: false };
    const half = new Float32Array(length);
    multiply({ a: plain(leftRoot, rows), b: plain(direction, columns), out: half, depth: rows, ...ofBlock });
    update = half;
    if (right !== undefined) {
      update = new Float32Array(length);
      multiply({ a: plain(half, columns), b: plain(rightRoot!, columns), out: update, depth: columns, ...ofBlock });
    }
  }
  let scale = 1;
  if (c.grafting !== 0) {
    const grafted =
      squareAvg === undefined
        ? direction
        : direction.map((d, n) => d / f(f(Math.sqrt(f(squareAvg[place(n)]! / c.graftingCorrection))) + c.graftingEps));
    const norm = (x: Float32Array): number => Math.sqrt(dot(x, x, length));
    const own = norm(update);
    if (c.isPreconditioned !== 0) scale = own === 0 ? 0 : f(norm(grafted) / (own + 1e-16));
    else update = grafted;
  }
  for (let n = 0; n < length; n++) data[place(n)] = scale * update[n]!;
}

function transformer(factors: number, hasRight: boolean) {
  return (values: readonly number[], matrix: Matrix, multiply: Matmul) => {
    const { data, rows, columns, side, state } = matrix;
    const own = state.slice(factors);
    const averages = [state[0]!, factors > 1 ? state[1] : undefined] as const;
    let [left, right] = [0, 0];
    for (const [row, height] of partsOf(rows, side))
      for (const [column, width] of partsOf(columns, side)) {
        const ofLeft = (array: Float32Array): Float32Array => array.subarray(left, left + height * height);
        const ofRight = (array: Float32Array): Float32Array => array.subarray(right, right + width * width);
        const block: Block = {
          begin: row * columns + column,
          rows: height,
          columns: width,
          left: ofLeft(own[0]!),
          leftRoot: ofLeft(own[hasRight ? 2 : 1]!),
          right: hasRight ? ofRight(own[1]!) : undefined,
          rightRoot: hasRight ? ofRight(own[3]!) : undefined,
        };
        transformBlock(named(values), matrix, block, averages, multiply);
        left += height * height;
        right += width * width;
      }
    return { matrix: data, constants: values };
  };
}

/** One of the four forms: with or without the average of the squares that grafting needs, of a matrix or a vector. */
function form(hasSquares: boolean, hasRight: boolean): KernelDeclaration {
  const own = hasRight ? ['leftFactor', 'rightFactor', 'leftRoot', 'rightRoot'] : ['leftFactor', 'leftRoot'];
  return matrixKernel({
    state: ['expAvg', ...(hasSquares ? ['squareAvg'] : []), ...own],
    constants,
    layout: Object.fromEntries(own.map((name) => [name, 'own' as const])),
    matrix: {
      fill: (values, [expAvg, squareAvg]) => {
        const { isFirst, beta1, oneMinusBeta1, graftingBeta, graftingRate } = named(values);
        return (i, grad) => {
          const ofGrad = f(oneMinusBeta1 * grad);
          if (beta1 === 0) expAvg![i] = grad;
          else expAvg![i] = isFirst !== 0 ? ofGrad : f(beta1 * expAvg![i]!) + ofGrad;
          if (!hasSquares) return grad;
          const square = f(f(graftingRate * grad) * grad);
          squareAvg![i] = isFirst !== 0 ? square : f(graftingBeta * squareAvg![i]!) + square;
          return grad;
        };
      },
      transform: transformer(hasSquares ? 2 : 1, hasRight),
      ownLength,
    },
    reference: (values, [matrix]) => {
      const { lr } = named(values);
      return (i, param) => param - f(lr * matrix[i]!);
    },
  });
}

export const shampoo = {
  name: 'Shampoo',
  reference:
    'Shi et al., "A Distributed Data-Parallel PyTorch Implementation of the Distributed Shampoo Optimizer", 2023, Algorithm 2, https://arxiv.org/abs/2309.06497',
  formula: [
    'w ← w·(1 − η·λ);  for each block of at most maxPreconditionerDim rows and columns:',
    'L ← β₂·L + ω·g·gᵀ;  R ← β₂·R + ω·gᵀ·g;  ω = 1−β₂, or 1 if β₂ = 1',
    'at t = start, and then each preconditionFrequency steps:  P = (factor/(1−β₂ᵗ) + ε·I)^(−1/4)',
    'm ← β₁·m + (1−β₁)·g;  d = m/(1−β₁ᵗ);  u = P_L·d·P_R',
    'grafting:  u ← u·‖G(d)‖/(‖u‖ + 1e-16);  t < start: u = G(d)',
    'w ← w − η·u;  vectors: L alone, and the exponent −1/2',
  ],
  decay: 'decoupled',
  denseOnly: 'Shampoo needs the whole gradient of a matrix',
  side: ({ maxPreconditionerDim }) => maxPreconditionerDim as number,
  scalars: { updates: 0 },
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 1e-2, range: '[0, inf)' },
    /** Decay rates of the moving averages of g and of the factors. If the second is 1, the factors are sums. */
    betas: { default: [0.9, 1], range: '[0, 1]' },
    /** Added to the eigenvalues of the factors. */
    eps: { default: 1e-12, range: '[1.1754944e-38, inf)' },
    /** Number of steps between two computations of the roots. */
    preconditionFrequency: { default: 1, range: '[1, 1000000000]', integer: true, fixed: true },
    /** The first step that computes the roots. −1 stands for preconditionFrequency. */
    startPreconditioningStep: { default: -1, range: '[-1, 1000000000]', integer: true, fixed: true },
    /** Largest number of rows or columns of a block. */
    maxPreconditionerDim: { default: 1024, range: '[1, 1000000]', integer: true, fixed: true },
    /** The method that sets the step length of each block. */
    grafting: { default: 'none', choices: graftings },
    /** Decay rate of the moving average of g² of the grafting methods 'rmsprop' and 'adam'. */
    graftingBeta2: { default: 0.999, range: '[0, 1)' },
    /** Added to the denominator of the grafting methods. */
    graftingEps: { default: 1e-8, range: '[0, inf)' },
    /** Apply bias correction to m and to the factors. */
    biasCorrection: { default: true },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay before each update. */
    weightDecay: { default: 0, range: '[0, inf)' },
  },
  kernels: {
    shampoo: form(false, true),
    'shampoo-grafted': form(true, true),
    'shampoo-vector': form(false, false),
    'shampoo-vector-grafted': form(true, false),
  },
} as const satisfies Declaration;

/** Options of {@link Shampoo}. @interface */
export type ShampooOptions = OptionsOf<typeof shampoo>;
type Resolved = ResolvedOf<typeof shampoo>;

/**
 * Shampoo: multiplies the gradient of a matrix on both sides by inverse roots of its accumulated products g·gᵀ and
 * gᵀ·g.
 *
 * ```
 * w ← w·(1 − η·λ);   for each block of at most maxPreconditionerDim rows and columns:
 * L ← β₂·L + ω·g·gᵀ;   R ← β₂·R + ω·gᵀ·g;   ω = 1−β₂, or 1 if β₂ = 1
 * P = (factor/(1−β₂ᵗ) + ε·I)^(−1/4), for both factors
 * m ← β₁·m + (1−β₁)·g;   d = m/(1−β₁ᵗ);   u = P_L·d·P_R
 * u ← u·‖G(d)‖/(‖u‖ + 1e-16), with grafting
 * w ← w − η·u
 * ```
 * The roots are computed at the step `startPreconditioningStep`, and at later steps that are multiples of
 * `preconditionFrequency`. Before the first computation, u = G(d). G(d) is d with `grafting: 'none'` and `'sgd'`,
 * d/(√Σg² + ε) with `'adagrad'`, and d/(√v + ε) with `'rmsprop'` and `'adam'`, where v averages g² and `'adam'`
 * corrects its bias. A factor is not divided if β₂ = 1. If the smallest eigenvalue is below ε after ε is added, all are
 * raised by the same amount, so that the smallest becomes ε. Eigenvalues are computed in float64.
 *
 * **Which params:** A param with a shape of two or more dimensions is a matrix: `shape[0]` is the number of rows, and
 * the product of the other dimensions is the number of columns. Any other param is a column, with the factor L alone
 * and the exponent −1/2.
 *
 * Options: `lr` (η, 1e-2, [0, ∞)), `betas` ([0.9, 1], the first in [0, 1), the second in [0, 1]), `eps` (ε, 1e-12,
 * [1.1754944e-38, ∞)), `preconditionFrequency` (1, an integer), `startPreconditioningStep` (−1: preconditionFrequency;
 * an integer), `maxPreconditionerDim` (1024, an integer in [1, 1000000]), `grafting` ('none', 'sgd', 'adagrad',
 * 'rmsprop' or 'adam'), `graftingBeta2` (0.999, [0, 1)), `graftingEps` (1e-8, [0, ∞)), `biasCorrection` (true),
 * `weightDecay` (λ, 0, [0, ∞), decoupled).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m); `leftFactor` and `rightFactor` (L and R), `leftRoot` and `rightRoot` (P), the matrices of one
 * block after the other; `squareAvg` (v or Σg²) if grafting needs it; the number `updates`. A step updates the params
 * and the state in place.
 *
 * @remarks
 * **When:** Few, costly steps: large batches, or gradients that take much longer than the roots. {@link SOAP} needs
 * less tuning, {@link Muon} less time and memory.
 *
 * **Pitfalls:** A root for a side of length n takes about 10·n³ operations, so raise `preconditionFrequency` for large
 * layers. The factors and roots of an m × n matrix have 2·(m² + n²) numbers. With the defaults, the steps shrink as in
 * Adagrad. With `betas: [0.9, 0.999]` and `grafting: 'adam'`, they keep the size of Adam's, and an lr that suits Adam
 * works. A gradient above about 1e19 makes a factor infinite. Its root is then 0, and its block never moves again, so
 * clip gradients that may be so large. A change of `maxPreconditionerDim`, or to a grafting that needs other state,
 * resets the param's state. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { Shampoo } from 'schuss';
 * const params = { weight: { data: new Float32Array([1, 0, 0, 1]), shape: [2, 2] }, bias: new Float32Array(2) };
 * const shampoo = new Shampoo(params, { lr: 1e-3, betas: [0.9, 0.999], grafting: 'adam' });
 * shampoo.step({ weight: new Float32Array([0.3, 0.1, 0, 0.2]), bias: new Float32Array([1, -1]) });
 * ```
 * @see Shi et al. 2023, Algorithm 2, https://arxiv.org/abs/2309.06497; Gupta, Koren & Singer 2018, Algorithm 1, which
 *   is `betas: [0, 1]`, https://arxiv.org/abs/1802.09568
 */
export class Shampoo<const P extends ParamsOf<typeof shampoo> = AnyParams> extends Optimizer<typeof shampoo, P> {
  static readonly optimizerName: string = shampoo.name;
  static readonly defaults: DefaultsOf<typeof shampoo> = defaultsOf(shampoo);

  constructor(params: Given<P, typeof shampoo>, options: ShampooOptions = {}) {
    super(shampoo, params, options);
  }

  protected override conflict({ betas: [beta1] }: Resolved): readonly [string, string, string] | undefined {
    return beta1 === 1 ? ['betas[0]', '1', '[0, 1)'] : undefined;
  }

  protected override kernel({ grafting }: Resolved, shape: Shape): string {
    const name = shape !== undefined && shape.length > 1 ? 'shampoo' : 'shampoo-vector';
    return grafting === 'none' || grafting === 'sgd' ? name : `${name}-grafted`;
  }

  protected override scalarsAfter(_: Resolved, __: number, [updates]: readonly number[]): readonly number[] {
    return [updates! + 1];
  }

  protected override constants(resolved: Resolved, _: number, [updates]: readonly number[]): readonly number[] {
    const { lr, eps, grafting, graftingBeta2, graftingEps, biasCorrection } = resolved;
    const { preconditionFrequency, startPreconditioningStep } = resolved;
    const [beta1, beta2] = resolved.betas;
    const t = updates! + 1;
    const start = startPreconditioningStep < 0 ? preconditionFrequency : startPreconditioningStep;
    const isRefreshed = t === Math.max(start, 1) || (t > start && t % preconditionFrequency === 0);
    const corrected = (beta: number): number => (biasCorrection && beta < 1 ? 1 - power(beta, t) : 1);
    const graftingBeta = grafting === 'adagrad' ? 1 : graftingBeta2;
    return [
      t === 1 ? 1 : 0,
      beta1,
      1 - beta1,
      corrected(beta1),
      beta2,
      beta2 === 1 ? 1 : 1 - beta2,
      corrected(beta2),
      eps,
      isRefreshed ? 1 : 0,
      t >= start ? 1 : 0,
      graftings.indexOf(grafting),
      graftingBeta,
      grafting === 'adagrad' ? 1 : 1 - graftingBeta2,
      grafting === 'adam' ? 1 - power(graftingBeta2, t) : 1,
      graftingEps,
      lr,
    ];
  }
}
