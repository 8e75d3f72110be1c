import { type Declaration, type DefaultsOf, defaultsOf, type OptionsOf, type ResolvedOf } from '../core/declaration.js';
import { Optimizer } from '../core/optimizer.js';
import type { Shape } from '../core/params.js';
import type { AnyParams, Given, ParamsOf } from '../core/params-of.js';
import { power } from '../core/power.js';
import { type Matrix, type MatrixShape, matrixKernel } from '../engine/kernel.js';
import { type Factor, type Matmul, plain, transposed } from '../engine/matmul.js';
import { referenceEigen } from '../engine/reference-eigen.js';
import { dot } from '../engine/reference-linalg.js';

const f = Math.fround;

const constants = [
  'isFirst',
  'beta1',
  'oneMinusBeta1',
  'beta2',
  'oneMinusBeta2',
  'shampooBeta',
  'oneMinusShampooBeta',
  'eps',
  'normalizeGrads',
  'isRefreshed',
  'stepSize',
  'afterDecay',
] as const;
type Constants = { readonly [K in (typeof constants)[number]]: number };
const named = (values: readonly number[]): Constants =>
  Object.fromEntries(constants.map((name, i) => [name, values[i]])) as Constants;

const averaged = (c: Constants, before: number, grad: number): number =>
  c.isFirst !== 0 ? 0 : f(f(c.beta1 * before) + f(c.oneMinusBeta1 * grad));
const averagedSquare = (c: Constants, before: number, grad: number): number =>
  c.isFirst !== 0 ? 0 : f(f(c.beta2 * before) + f(f(c.oneMinusBeta2 * grad) * grad));
const directionOf = (c: Constants, expAvg: number, expAvgSq: number): number =>
  c.isFirst !== 0 ? 0 : expAvg / f(f(Math.sqrt(expAvgSq)) + c.eps);

/** Divides a matrix by its root mean square, if the options ask for it. */
function normalized({ normalizeGrads }: Constants, matrix: Float32Array): Float32Array {
  if (normalizeGrads === 0) return matrix;
  const { length } = matrix;
  const divisor = f(1e-30 + Math.sqrt(dot(matrix, matrix, length)) / Math.sqrt(length));
  return matrix.map((value) => value / divisor);
}

function reference(values: readonly number[], [matrix]: readonly [Float32Array]) {
  const { stepSize, afterDecay } = named(values);
  return (i: number, param: number): number => afterDecay * f(param - f(stepSize * matrix[i]!));
}

/** One side of the matrix. */
interface Side {
  readonly length: number;
  readonly factor: Float32Array;
  readonly basis: Float32Array;
  /** Their product is the one that the factor averages. */
  readonly grads: Factor;
  readonly turned: Factor;
  readonly depth: number;
}

function updateFactor(c: Constants, { length, factor, grads, turned, depth }: Side, multiply: Matmul): void {
  const gram = new Float32Array(length * length);
  if (c.isFirst !== 0) factor.fill(0);
  multiply({ a: grads, b: turned, out: gram, rows: length, columns: length, depth, isSymmetric: true });
  for (let i = 0; i < gram.length; i++) factor[i] = f(c.oneMinusShampooBeta * gram[i]!) + f(c.shampooBeta * factor[i]!);
}

/** The numbers from 0 on, so that the values in this order descend. Equal values, and NaN, keep their places. */
function descending(values: Float32Array): number[] {
  const order: number[] = [];
  for (const [i, value] of values.entries()) {
    let k = i;
    for (; k > 0 && values[order[k - 1]!]! < value; k--) order[k] = order[k - 1]!;
    order[k] = i;
  }
  return order;
}

/** One step of the power iteration of a side's basis, in the order of the estimated eigenvalues. Returns the order. */
function refresh({ length, factor, basis }: Side, multiply: Matmul): number[] {
  const product = new Float32Array(length * length);
  const ofSide = { rows: length, columns: length, depth: length, isSymmetric: false };
  multiply({ a: plain(factor, length), b: plain(basis, length), out: product, ...ofSide });
  const estimates = new Float32Array(length);
  for (let k = 0; k < length; k++)
    for (let j = 0; j < length; j++)
      estimates[j] = estimates[j]! + f(product[k * length + j]! * basis[k * length + j]!);
  const order = descending(estimates);
  const sorted = product.map((_, at) => product[at - (at % length) + order[at % length]!]!);
  referenceEigen.orthonormalize(sorted, length, basis);
  return order;
}

/** The matrix in the bases, QᵀL·x·Q_R, or back. A side without a basis stays as it is. */
function turn(
  x: Float32Array,
  { rows, columns }: Matrix,
  [left, right]: readonly [Side | undefined, Side | undefined],
  isInto: boolean,
  multiply: Matmul,
): Float32Array {
  let result = x;
  const form = (basis: Float32Array, length: number, isTurned: boolean): Factor =>
    isTurned ? transposed(basis, length) : plain(basis, length);
  const product = (a: Factor, b: Factor, depth: number): void => {
    const out = new Float32Array(x.length);
    multiply({ a, b, out, rows, columns, depth, isSymmetric: false });
    result = out;
  };
  if (left !== undefined) product(form(left.basis, rows, isInto), plain(result, columns), rows);
  if (right !== undefined) product(plain(result, columns), form(right.basis, columns, !isInto), columns);
  return result;
}

function transform(values: readonly number[], matrix: Matrix, multiply: Matmul) {
  const c = named(values);
  const { data, rows, columns, side, state } = matrix;
  const [expAvg, expAvgSq, leftFactor, rightFactor, leftBasis, rightBasis] = state as Float32Array[];
  const [grads, turned] = [plain(data, columns), transposed(data, columns)];
  const left = { length: rows, factor: leftFactor!, basis: leftBasis!, grads, turned, depth: columns };
  const right = {
    length: columns,
    factor: rightFactor!,
    basis: rightBasis!,
    grads: turned,
    turned: grads,
    depth: rows,
  };
  const sides = [rows <= side ? left : undefined, columns <= side ? right : undefined] as const;
  const present = sides.filter((one) => one !== undefined);
  if (c.isFirst !== 0) {
    expAvgSq!.fill(0);
    for (const one of present) {
      updateFactor(c, one, multiply);
      referenceEigen.eigenvectors(one.factor, one.length, one.basis, new Float64Array(one.length));
    }
    return { matrix: new Float32Array(data.length), constants: values };
  }
  const grad = turn(data, matrix, sides, true, multiply);
  const average = turn(expAvg!, matrix, sides, true, multiply);
  for (let i = 0; i < grad.length; i++) expAvgSq![i] = averagedSquare(c, expAvgSq![i]!, grad[i]!);
  const adam = average.map((m, i) => directionOf(c, m, expAvgSq![i]!));
  const result = normalized(c, turn(adam, matrix, sides, false, multiply));
  for (const one of present) updateFactor(c, one, multiply);
  if (c.isRefreshed !== 0)
    for (const one of present) {
      const order = refresh(one, multiply);
      const before = expAvgSq!.slice();
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) {
          const from = one === left ? order[i]! * columns + j : i * columns + order[j]!;
          expAvgSq![i * columns + j] = before[from]!;
        }
    }
  return { matrix: result, constants: values };
}

/** A side that is too long has neither a factor nor a basis. */
function ownLength(name: string, { rows, columns, side }: MatrixShape): number {
  const length = name.startsWith('left') ? rows : columns;
  return length <= side ? length * length : 0;
}

export const soap = {
  name: 'SOAP',
  reference:
    'Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", ICLR 2025, Algorithm 3, https://arxiv.org/abs/2409.11321',
  formula: [
    't = 1: L ← (1−β)·g·gᵀ;  R ← (1−β)·gᵀ·g;  Q_L, Q_R: their eigenvectors; w does not move',
    't > 1, k = t−1: m ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·(Q_Lᵀ·g·Q_R)²',
    'n = Q_L·[(Q_Lᵀ·m·Q_R)/(√v + ε)]·Q_Rᵀ;  normalizeGrads: n ← n/(1e-30 + rms(n))',
    'w ← (w − η·√(1−β₂ᵏ)/(1−β₁ᵏ)·n)·(1 − η·λ);  L, R: averages of g·gᵀ and gᵀ·g with β',
    'each preconditionFrequency steps:  Q ← qr(L·Q).Q, its columns and v in the order of diag(QᵀLQ)',
    'params that are no matrices: Q = I',
  ],
  // Decoupled, but after the update, so the formula applies it.
  decay: 'none',
  denseOnly: 'SOAP needs the whole gradient of a matrix',
  side: ({ maxPreconditionerDim }) => maxPreconditionerDim as number,
  scalars: { updates: 0 },
  hyperParameters: {
    /** Learning rate. */
    lr: { default: 3e-3, range: '[0, inf)' },
    /** Decay rates of the moving averages of g, and of the square of g in the basis. */
    betas: { default: [0.95, 0.95], range: '[0, 1)' },
    /** Decay rate of the moving averages of g·gᵀ and gᵀ·g: the second of betas if it is not given. */
    shampooBeta: { range: '[0, 1)' },
    /** Added to the denominator, outside the square root. */
    eps: { default: 1e-8, range: '[0, inf)' },
    /** Number of steps between two updates of the bases. */
    preconditionFrequency: { default: 10, range: '[1, 1000000000]', integer: true, fixed: true },
    /** A side of a matrix that is longer than this is not rotated: its basis is the identity. */
    maxPreconditionerDim: { default: 10000, range: '[1, 1000000]', integer: true, fixed: true },
    /** Divide the update of each param by its root mean square. */
    normalizeGrads: { default: false },
    /** Apply bias correction to both averages. */
    biasCorrection: { default: true },
    /** Decoupled weight decay: multiplies w by 1 − lr · weightDecay after each update. */
    weightDecay: { default: 1e-2, range: '[0, inf)' },
  },
  kernels: {
    soap: matrixKernel({
      state: ['expAvg', 'expAvgSq', 'leftFactor', 'rightFactor', 'leftBasis', 'rightBasis'],
      constants,
      layout: { leftFactor: 'own', rightFactor: 'own', leftBasis: 'own', rightBasis: 'own' },
      matrix: {
        fill: (values, [expAvg]) => {
          const c = named(values);
          return (i, grad) => {
            expAvg[i] = averaged(c, expAvg[i]!, grad);
            return grad;
          };
        },
        transform,
        ownLength,
      },
      reference,
    }),
    'soap-vector': matrixKernel({
      state: ['expAvg', 'expAvgSq'],
      constants,
      matrix: {
        fill: (values, [expAvg, expAvgSq]) => {
          const c = named(values);
          return (i, grad) => {
            expAvg[i] = averaged(c, expAvg[i]!, grad);
            expAvgSq[i] = averagedSquare(c, expAvgSq[i]!, grad);
            return directionOf(c, expAvg[i]!, expAvgSq[i]!);
          };
        },
        transform: (values, { data }) => ({ matrix: normalized(named(values), data), constants: values }),
      },
      reference,
    }),
  },
} as const satisfies Declaration;

/** Options of {@link SOAP}. @interface */
export type SOAPOptions = OptionsOf<typeof soap>;
type Resolved = ResolvedOf<typeof soap>;

/**
 * SOAP: {@link Adam} in the eigenbasis of {@link Shampoo}'s factors. The basis slowly follows the gradients.
 *
 * ```
 * t = 1          L ← (1−β)·g·gᵀ;   R ← (1−β)·gᵀ·g;   Q_L, Q_R: their eigenvectors
 * t > 1, k = t−1 m ← β₁·m + (1−β₁)·g;   v ← β₂·v + (1−β₂)·(Q_Lᵀ·g·Q_R)²
 *                n = Q_L·[(Q_Lᵀ·m·Q_R)/(√v + ε)]·Q_Rᵀ
 *                w ← (w − η·√(1−β₂ᵏ)/(1−β₁ᵏ)·n)·(1 − η·λ)
 *                L ← β·L + (1−β)·g·gᵀ;   R ← β·R + (1−β)·gᵀ·g
 * each preconditionFrequency steps      Q ← qr(L·Q).Q, for both factors
 * ```
 * The first step only initializes the factors and bases: it neither moves nor decays the weights. β is `shampooBeta`,
 * or β₂. Before a basis is updated, its columns, and the columns or rows of v, are sorted by diag(QᵀLQ) in descending
 * order. With `normalizeGrads`, n is divided by its root mean square. Eigenvectors and QR are computed in float64, all
 * other products in float32.
 *
 * **Which params:** A param with a shape of two or more dimensions is a matrix: `shape[0]` is the number of rows, and
 * the product of the other dimensions is the number of columns. A side that is longer than `maxPreconditionerDim` keeps
 * Q at I. Any other param gets Adam without the first step.
 *
 * Options: `lr` (η, 3e-3, [0, ∞)), `betas` ([0.95, 0.95], each in [0, 1)), `shampooBeta` (the second of betas, [0, 1)),
 * `eps` (ε, 1e-8, [0, ∞)), `preconditionFrequency` (10, an integer), `maxPreconditionerDim` (10000, an integer in [1,
 * 1000000]), `normalizeGrads` (false), `biasCorrection` (true), `weightDecay` (λ, 1e-2, [0, ∞), decoupled, after the
 * update).
 *
 * Common options: `maximize` (false) and `clipValue` per group; `clipNorm`, `skipNonFinite`, `zeroGrads`, `ema`,
 * `gradNorm` and `flushDenormals` for the whole optimizer.
 *
 * State: `expAvg` (m) and `expAvgSq` (v); for a matrix `leftFactor` and `rightFactor` (L and R), `leftBasis` and
 * `rightBasis` (Q), all row-major, and empty for a side that is too long; the number `updates`. A step updates the
 * params and the state in place.
 *
 * @remarks
 * **When:** Transformers and other large networks, where it needs fewer steps than AdamW. Its hyper-parameters are
 * those of Adam.
 *
 * **Pitfalls:** The factors and bases of an m × n matrix have 2·(m² + n²) numbers. An update of the basis for a side of
 * length n takes about 3·n³ operations, so set `maxPreconditionerDim` for embeddings and output layers. If the first
 * gradient does not have full rank, the basis of its null space is arbitrary, but the same on every machine. A gradient
 * above about 1e19 makes a factor infinite. Its basis is then I, and the step is Adam's. A change of
 * `maxPreconditionerDim` resets the param's state. It takes no sparse gradients.
 *
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range or overlapping params
 * @example
 * ```ts
 * import { SOAP } from 'schuss';
 * const params = { weight: { data: new Float32Array([1, 0, 0, 1]), shape: [2, 2] }, bias: new Float32Array(2) };
 * const soap = new SOAP(params, { lr: 3e-3 });
 * const grads = { weight: new Float32Array([0.3, 0.1, 0, 0.2]), bias: new Float32Array([1, -1]) };
 * soap.step(grads); // only initializes the bases
 * soap.step(grads);
 * ```
 * @see Vyas et al. 2024, Algorithm 3, https://arxiv.org/abs/2409.11321
 */
export class SOAP<const P extends ParamsOf<typeof soap> = AnyParams> extends Optimizer<typeof soap, P> {
  static readonly optimizerName: string = soap.name;
  static readonly defaults: DefaultsOf<typeof soap> = defaultsOf(soap);

  constructor(params: Given<P, typeof soap>, options: SOAPOptions = {}) {
    super(soap, params, options);
  }

  protected override kernel(_: Resolved, shape: Shape): string {
    return shape !== undefined && shape.length > 1 ? 'soap' : 'soap-vector';
  }

  protected override scalarsAfter(_: Resolved, __: number, [updates]: readonly number[]): readonly number[] {
    return [updates! + 1];
  }

  protected override constants(resolved: Resolved, _: number, [k]: readonly number[]): readonly number[] {
    const { lr, eps, preconditionFrequency, normalizeGrads, biasCorrection, weightDecay } = resolved;
    const [beta1, beta2] = resolved.betas;
    const beta = resolved.shampooBeta ?? beta2;
    const isFirst = k === 0;
    const correction = biasCorrection && !isFirst ? Math.sqrt(1 - power(beta2, k!)) / (1 - power(beta1, k!)) : 1;
    return [
      isFirst ? 1 : 0,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      beta,
      1 - beta,
      eps,
      normalizeGrads ? 1 : 0,
      !isFirst && k! % preconditionFrequency === 0 ? 1 : 0,
      lr * correction,
      isFirst ? 1 : 1 - lr * weightDecay,
    ];
  }
}
