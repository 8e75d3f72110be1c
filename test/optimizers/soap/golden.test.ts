// SOAP against a float64 truth that is written here from the paper, with other methods for eigenvectors and QR.
import { describe, expect, test } from 'vitest';
import { SOAP, type SOAPOptions } from '../../../lib/index.js';
import type { Matrix } from '../../support/golden/matrix-truth.js';
import * as truth from '../../support/golden/matrix-truth.js';
import { numbers } from '../../support/random.js';

const { eigen, identity, largest, map, matrixOf, norm, orthonormal, sum, times, transpose, zeros } = truth;

interface Settings {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly shampooBeta: number;
  readonly eps: number;
  readonly frequency: number;
  readonly side: number;
  readonly normalizeGrads: boolean;
  readonly biasCorrection: boolean;
  readonly weightDecay: number;
}

const standard: Settings = {
  lr: 0.1,
  betas: [0.95, 0.95],
  shampooBeta: 0.95,
  eps: 1e-8,
  frequency: 10,
  side: 10_000,
  normalizeGrads: false,
  biasCorrection: true,
  weightDecay: 0.01,
};

/** One side of a matrix. */
interface Side {
  readonly factor: Matrix;
  readonly basis: Matrix;
}

/** The parts of the formula, each of which a wrong formula may replace. */
interface Formula {
  first(s: Settings, w: Matrix): Matrix;
  count(t: number): number;
  momentum(s: Settings, before: Matrix, g: Matrix): Matrix;
  square(s: Settings, before: Matrix, turned: Matrix): Matrix;
  direction(s: Settings, turned: Matrix, square: Matrix): Matrix;
  rate(s: Settings, k: number): number;
  move(s: Settings, w: Matrix, n: Matrix, rate: number): Matrix;
  factor(s: Settings, before: Matrix, product: Matrix): Matrix;
  isRefreshed(s: Settings, k: number): boolean;
  order(side: Side): readonly number[];
  sorted(square: Matrix, order: readonly number[]): Matrix;
  basis(side: Side): Matrix;
}

const right: Formula = {
  first: (_, w) => w,
  count: (t) => t - 1,
  momentum: ({ betas: [beta] }, before, g) => sum(beta, before, 1 - beta, g),
  square: ({ betas: [, beta] }, before, turned) =>
    sum(
      beta,
      before,
      1 - beta,
      map(turned, (x) => x * x),
    ),
  direction: (s, turned, square) => map(turned, (x, i, j) => x / (Math.sqrt(square[i]![j]!) + s.eps)),
  rate: ({ lr, betas: [beta1, beta2], biasCorrection }, k) =>
    biasCorrection ? (lr * Math.sqrt(1 - beta2 ** k)) / (1 - beta1 ** k) : lr,
  move: (s, w, n, rate) => map(sum(1, w, -rate, n), (x) => x * (1 - s.lr * s.weightDecay)),
  factor: ({ shampooBeta: beta }, before, product) => sum(beta, before, 1 - beta, product),
  isRefreshed: (s, k) => k % s.frequency === 0,
  order({ factor, basis }) {
    const estimates = times(times(transpose(basis), factor), basis).map((row, i) => row[i]!);
    return estimates.map((_, i) => i).sort((i, j) => estimates[j]! - estimates[i]!);
  },
  sorted: (square, order) => order.map((i) => square[i]!),
  basis: ({ factor, basis }) => orthonormal(times(factor, basis)),
};

const steps = 6;

/** Gradients whose products have few small eigenvalues: a diagonal that falls, in another place in each step, and noise. */
function gradOf(rows: number, columns: number, t: number): Float32Array {
  return numbers(rows * columns, 10 + t).map((noise, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    return (
      0.2 * noise +
      Number(rows > columns ? (i + t) % rows === j : (j + t) % columns === i) * (1 - 0.12 * Math.min(i, j))
    );
  });
}

type SettingsAt = (t: number) => Settings;

interface Found {
  readonly data: Float32Array;
  /** After the first step. */
  readonly left: Float32Array | undefined;
  readonly right: Float32Array | undefined;
}

function trueParam(at: SettingsAt, shape: readonly number[], start: Float32Array, found: Found, formula: Formula) {
  const rows = shape[0]!;
  const columns = start.length / rows;
  let w = matrixOf(start, rows);
  let [m, v] = [zeros(rows, columns), zeros(rows, columns)];
  const { side } = at(1);
  const hasSide = (length: number): boolean => shape.length > 1 && length <= side;
  const has = [hasSide(rows), hasSide(columns)] as const;
  let sides = [rows, columns].map((length) => ({ factor: zeros(length, length), basis: identity(length) }));
  let moved = 0;
  for (let t = 1; t <= steps; t++) {
    const s = at(t);
    const g = matrixOf(gradOf(rows, columns, t), rows);
    const products = [times(g, transpose(g)), times(transpose(g), g)];
    const factors = sides.map(({ factor }, i) => formula.factor(s, factor, products[i]!));
    if (t === 1) {
      // The basis of a null space is arbitrary, so the bases are the library's, once they are known to be eigenvectors.
      const given = [found.left, found.right];
      sides = sides.map(({ basis }, i) => ({
        factor: factors[i]!,
        basis: has[i] ? matrixOf(given[i]!, basis.length) : basis,
      }));
      w = formula.first(s, w);
      continue;
    }
    const k = formula.count(t);
    const [left, right] = sides.map(({ basis }) => basis) as [Matrix, Matrix];
    const turn = (x: Matrix): Matrix => times(times(transpose(left), x), right);
    m = formula.momentum(s, m, g);
    v = formula.square(s, v, turn(g));
    let n = times(times(left, formula.direction(s, turn(m), v)), transpose(right));
    if (s.normalizeGrads) n = map(n, (x, _, __) => x / (1e-30 + norm(n) / Math.sqrt(rows * columns)));
    const rate = formula.rate(s, k);
    w = formula.move(s, w, n, rate);
    moved += rate * largest(n);
    sides = sides.map(({ basis }, i) => ({ factor: factors[i]!, basis }));
    if (formula.isRefreshed(s, k))
      sides = sides.map((one, i) => {
        if (!has[i]) return one;
        const order = formula.order(one);
        v = i === 0 ? formula.sorted(v, order) : transpose(formula.sorted(transpose(v), order));
        const basis = one.basis.map((row) => order.map((j) => row[j]!));
        return { factor: one.factor, basis: formula.basis({ factor: one.factor, basis }) };
      });
  }
  return { expected: w.flat(), moved };
}

function trained(options: SOAPOptions, shape: readonly number[], start: Float32Array): Found {
  const data = start.slice();
  const soap = new SOAP({ data, shape }, options);
  let bases: Pick<Found, 'left' | 'right'> = { left: undefined, right: undefined };
  for (let t = 1; t <= steps; t++) {
    soap.step(gradOf(shape[0]!, start.length / shape[0]!, t));
    const { leftBasis, rightBasis } = soap.stateDict().state[0] as unknown as Record<string, Float32Array>;
    if (t === 1) bases = { left: leftBasis, right: rightBasis };
  }
  return { data, ...bases };
}

/** How much a rounding may grow: the gradients' products have no small eigenvalues but those of a null space. */
const condition = 64;

/** The largest error, in units of what float32 allows. */
function error({ data }: Found, { expected, moved }: ReturnType<typeof trueParam>): number {
  const unit = 2 ** -24 * (steps + condition) * moved;
  return data.reduce((most, w, i) => {
    const allowed = unit + steps * 2 ** -23 * (Math.abs(expected[i]!) + moved);
    return Math.max(most, Math.abs(w - expected[i]!) / allowed);
  }, 0);
}

const shapes = [[1, 1], [1, 5], [3, 5], [5, 3], [5, 5], [4, 3, 2], [6]] as const;
/** The products of a single row have no full rank until there are many, and QR of a null space is arbitrary. */
const ofFullRank = shapes.filter(([rows]) => rows > 1);

type Change = Partial<Formula> | ((s: Settings) => Partial<Settings>);
interface Run {
  readonly options: SOAPOptions;
  readonly settings: Settings | SettingsAt;
  readonly shapes?: readonly (readonly number[])[];
  readonly wrong: Readonly<Record<string, Change>>;
}

const schedule = (step: number): number => 0.1 / step;

const runs: Readonly<Record<string, Run>> = {
  defaults: {
    options: { lr: 0.1 },
    settings: standard,
    wrong: {
      'Adam, without a basis': () => ({ side: 0 }),
      'the first step counts': { count: (t) => t },
      'the first step decays': { first: (s, w) => map(w, (x) => x * (1 - s.lr * s.weightDecay)) },
      'no bias correction': () => ({ biasCorrection: false }),
      'no decay': () => ({ weightDecay: 0 }),
      'decay before the update': {
        move: (s, w, n, rate) => sum(1 - s.lr * s.weightDecay, w, -rate, n),
      },
      'β₂ of Adam': () => ({ betas: [0.95, 0.999] }),
      'a mean of the gradients in place of squares': { square: (s, before, x) => sum(s.betas[1], before, 0.05, x) },
    },
  },
  'a basis for each step': {
    options: { lr: 0.1, preconditionFrequency: 1, betas: [0.9, 0.8], eps: 1e-3 },
    settings: { ...standard, frequency: 1, betas: [0.9, 0.8], shampooBeta: 0.8, eps: 1e-3 },
    shapes: ofFullRank,
    wrong: {
      'each second step': () => ({ frequency: 2 }),
      'ε inside the root': { direction: (s, x, v) => map(x, (y, i, j) => y / Math.sqrt(v[i]![j]! + s.eps)) },
      'eigenvectors in place of one iteration': { basis: ({ factor }) => eigen(factor).vectors },
      'the basis of the factor alone': { basis: ({ factor }) => orthonormal(factor) },
      'another β of the factors': () => ({ shampooBeta: 0.95 }),
      'the order of v stays': { sorted: (v) => v },
    },
  },
  'a β for the factors, each second step': {
    options: { lr: 0.1, preconditionFrequency: 2, shampooBeta: 0.3, weightDecay: 0.5 },
    settings: { ...standard, frequency: 2, shampooBeta: 0.3, weightDecay: 0.5 },
    shapes: ofFullRank,
    wrong: {
      'β₂': () => ({ shampooBeta: 0.95 }),
      'counted from the first step': { isRefreshed: (_, k) => (k + 1) % 2 === 0 },
      'smallest eigenvalues first': { order: (side) => right.order(side).toReversed() },
    },
  },
  normalizeGrads: {
    options: { lr: 0.1, normalizeGrads: true, biasCorrection: false },
    settings: { ...standard, normalizeGrads: true, biasCorrection: false },
    wrong: { 'not normalized': () => ({ normalizeGrads: false }), 'bias correction': () => ({ biasCorrection: true }) },
  },
  'a side that is too long': {
    options: { lr: 0.1, maxPreconditionerDim: 4, preconditionFrequency: 2 },
    settings: { ...standard, side: 4, frequency: 2 },
    wrong: { 'both sides too long': () => ({ side: 0 }) },
  },
  'lr and betas by schedules': {
    options: { lr: schedule, betas: [(step) => 1 - 1 / (step + 1), 0.9] },
    settings: (t) => ({ ...standard, lr: schedule(t), betas: [1 - 1 / (t + 1), 0.9], shampooBeta: 0.9 }),
    wrong: { 'the first lr for ever': () => ({ lr: 0.1 }), 'the first beta for ever': () => ({ betas: [0.5, 0.9] }) },
  },
};

describe.each(Object.entries(runs))('%s', (_, { options, settings, shapes: own = shapes, wrong }) => {
  const at = typeof settings === 'function' ? settings : () => settings;
  const start = (shape: readonly number[]): Float32Array =>
    numbers(
      shape.reduce((a, b) => a * b, 1),
      1,
    );
  const found = own.map((shape) => trained(options, shape, start(shape)));
  const errors = (given: SettingsAt, formula: Formula): number[] =>
    own.map((shape, i) => error(found[i]!, trueParam(given, shape, start(shape), found[i]!, formula)));

  test('is the truth', () => {
    for (const [i, each] of errors(at, right).entries()) expect(each, `${own[i]}`).toBeLessThanOrEqual(1);
  });

  test.each(Object.entries(wrong))('is not: %s', (_, change) => {
    const given = typeof change === 'function' ? (t: number) => ({ ...at(t), ...change(at(t)) }) : at;
    const formula = typeof change === 'function' ? right : { ...right, ...change };
    expect(errors(given, formula).some((each) => !(each <= 10))).toBe(true);
  });
});

test('the first bases are the eigenvectors of the first products, the largest first', () => {
  for (const [rows, columns] of [
    [3, 5],
    [5, 3],
    [5, 5],
  ] as const) {
    const { left, right } = trained({ lr: 0.1 }, [rows, columns], numbers(rows * columns, 1));
    const g = matrixOf(gradOf(rows, columns, 1), rows);
    for (const [basis, product] of [
      [matrixOf(left!, rows), times(g, transpose(g))],
      [matrixOf(right!, columns), times(transpose(g), g)],
    ] as const) {
      const turned = times(times(transpose(basis), product), basis);
      const { values } = eigen(product);
      const off = largest(
        sum(
          1,
          turned,
          -1,
          map(turned, (x, i, j) => (i === j ? x : 0)),
        ),
      );
      expect(off).toBeLessThan(2 ** -20);
      for (const [k, value] of values.entries()) expect(turned[k]![k]).toBeCloseTo(value, 5);
      expect(largest(sum(1, times(transpose(basis), basis), -1, identity(basis.length)))).toBeLessThan(2 ** -21);
    }
  }
});
