// Shampoo against a float64 truth that is written here from the paper, with other methods for the eigenvectors.
import { describe, expect, test } from 'vitest';
import { Shampoo, type ShampooOptions } from '../../../lib/index.js';
import type { Matrix } from '../../support/golden/matrix-truth.js';
import * as truth from '../../support/golden/matrix-truth.js';
import { numbers } from '../../support/random.js';

const { eigen, functionOf, largest, map, matrixOf, norm, sum, times, transpose, zeros } = truth;

interface Settings {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly frequency: number;
  readonly start: number;
  readonly side: number;
  readonly grafting: 'none' | 'sgd' | 'adagrad' | 'rmsprop' | 'adam';
  readonly graftingBeta2: number;
  readonly graftingEps: number;
  readonly biasCorrection: boolean;
  readonly weightDecay: number;
  readonly exponent: { readonly matrix: number; readonly vector: number };
}

/** What the library is given. ε is large enough that the condition of the factors stays small. */
const standard: Settings = {
  lr: 0.1,
  betas: [0.9, 1],
  eps: 0.05,
  frequency: 1,
  start: 1,
  side: 1024,
  grafting: 'none',
  graftingBeta2: 0.999,
  graftingEps: 1e-8,
  biasCorrection: true,
  weightDecay: 0,
  exponent: { matrix: -1 / 4, vector: -1 / 2 },
};

/** The parts of the formula, each of which a wrong formula may replace. */
interface Formula {
  factor(s: Settings, before: Matrix, product: Matrix): Matrix;
  root(s: Settings, factor: Matrix, t: number, exponent: number): Matrix;
  isRefreshed(s: Settings, t: number): boolean;
  momentum(s: Settings, before: Matrix, g: Matrix): Matrix;
  direction(s: Settings, momentum: Matrix, g: Matrix, t: number): Matrix;
  square(s: Settings, before: Matrix, g: Matrix): Matrix;
  grafted(s: Settings, direction: Matrix, square: Matrix, t: number): Matrix;
  graft(update: Matrix, grafted: Matrix): Matrix;
  decay(s: Settings, w: Matrix): Matrix;
}

/** The largest ratio of eigenvalues of a factor. */
let condition = 1;

const right: Formula = {
  factor: ({ betas: [, beta] }, before, product) => sum(beta, before, beta === 1 ? 1 : 1 - beta, product),
  root(s, factor, t, exponent) {
    const divisor = s.biasCorrection && s.betas[1] < 1 ? 1 - s.betas[1] ** t : 1;
    const found = eigen(map(factor, (value, i, j) => value / divisor + (i === j ? s.eps : 0)));
    const shift = Math.max(0, s.eps - found.values.at(-1)!);
    condition = Math.max(condition, (found.values[0]! + shift) / (found.values.at(-1)! + shift));
    return functionOf(found, (value) => (value + shift) ** exponent);
  },
  isRefreshed: (s, t) => t === s.start || (t > s.start && t % s.frequency === 0),
  momentum: ({ betas: [beta] }, before, g) => sum(beta, before, 1 - beta, g),
  direction: ({ betas: [beta], biasCorrection }, m, _, t) => map(m, (x) => (biasCorrection ? x / (1 - beta ** t) : x)),
  square: ({ grafting, graftingBeta2: beta }, before, g) => {
    const squares = map(g, (x) => x * x);
    return grafting === 'adagrad' ? sum(1, before, 1, squares) : sum(beta, before, 1 - beta, squares);
  },
  grafted(s, direction, square, t) {
    if (s.grafting === 'none' || s.grafting === 'sgd') return direction;
    const correction = s.grafting === 'adam' ? 1 - s.graftingBeta2 ** t : 1;
    return map(direction, (d, i, j) => d / (Math.sqrt(square[i]![j]! / correction) + s.graftingEps));
  },
  graft: (update, grafted) => map(update, (u) => (u * norm(grafted)) / (norm(update) + 1e-16)),
  decay: (s, w) => map(w, (x) => x * (1 - s.lr * s.weightDecay)),
};

const steps = 5;

/** One block, which is a matrix of its own. The updates of its steps. */
function updates(at: (t: number) => Settings, grads: readonly Matrix[], isVector: boolean, formula: Formula): Matrix[] {
  const [rows, columns] = [grads[0]!.length, grads[0]![0]!.length];
  let [left, right, m, v] = [zeros(rows, rows), zeros(columns, columns), zeros(rows, columns), zeros(rows, columns)];
  let [leftRoot, rightRoot] = [truth.identity(rows), truth.identity(columns)];
  return grads.map((g, i) => {
    const [t, s] = [i + 1, at(i + 1)];
    left = formula.factor(s, left, times(g, transpose(g)));
    right = formula.factor(s, right, times(transpose(g), g));
    if (formula.isRefreshed(s, t)) {
      leftRoot = formula.root(s, left, t, isVector ? s.exponent.vector : s.exponent.matrix);
      if (!isVector) rightRoot = formula.root(s, right, t, s.exponent.matrix);
    }
    m = formula.momentum(s, m, g);
    v = formula.square(s, v, g);
    const d = formula.direction(s, m, g, t);
    const grafted = formula.grafted(s, d, v, t);
    if (t < s.start) return grafted;
    const update = times(times(leftRoot, d), rightRoot);
    return s.grafting === 'none' ? update : formula.graft(update, grafted);
  });
}

function trueParam(at: (t: number) => Settings, shape: readonly number[], start: Float32Array, formula: Formula) {
  const isVector = shape.length < 2;
  const rows = shape[0]!;
  let w = matrixOf(start, rows);
  const columns = w[0]!.length;
  const grads = Array.from({ length: steps }, (_, i) => matrixOf(numbers(start.length, 11 + i), rows));
  const all = grads.map(() => zeros(rows, columns).map((row) => [...row]));
  const { side } = at(1);
  for (let top = 0; top < rows; top += side)
    for (let first = 0; first < columns; first += side) {
      const block = grads.map((g) => g.slice(top, top + side).map((row) => row.slice(first, first + side)));
      for (const [i, update] of updates(at, block, isVector, formula).entries())
        for (const [r, row] of update.entries())
          for (const [c, value] of row.entries()) all[i]![top + r]![first + c] = value;
    }
  let moved = 0;
  for (const [i, update] of all.entries()) {
    const s = at(i + 1);
    w = sum(1, formula.decay(s, w), -s.lr, update);
    moved += s.lr * largest(update);
  }
  return { expected: w.flat(), moved };
}

function trained(options: ShampooOptions, shape: readonly number[], start: Float32Array): Float32Array {
  const data = start.slice();
  const shampoo = new Shampoo(shape.length === 0 ? data : { data, shape }, options);
  for (let step = 1; step <= steps; step++) shampoo.step(numbers(start.length, 10 + step));
  return data;
}

/**
 * The largest error, in units of what float32 allows. A factor is rounded in each step, relative to its largest
 * eigenvalue; the root of its smallest one feels the condition times that.
 */
function error(found: Float32Array, { expected, moved }: ReturnType<typeof trueParam>): number {
  const unit = 2 ** -24 * (steps + condition) * moved;
  return found.reduce((most, w, i) => {
    const allowed = unit + steps * 2 ** -23 * (Math.abs(expected[i]!) + moved);
    return Math.max(most, Math.abs(w - expected[i]!) / allowed);
  }, 0);
}

const shapes = [[1, 1], [1, 7], [7, 1], [3, 5], [5, 3], [8, 8], [4, 3, 2], [9], [1]] as const;

type Change = Partial<Formula> | ((s: Settings) => Partial<Settings>);
interface Run {
  readonly options: ShampooOptions;
  readonly settings: Settings | ((t: number) => Settings);
  readonly wrong: Readonly<Record<string, Change>>;
}

const schedule = (step: number): number => 0.1 / step;
const given = { lr: 0.1, eps: 0.05 };
const isRefreshed: Formula['isRefreshed'] = (s, t) => t > s.start && t % s.frequency === 0;

const runs: Readonly<Record<string, Run>> = {
  'the defaults, but for ε': {
    options: given,
    settings: standard,
    wrong: {
      'the exponents −1/2 and −1': () => ({ exponent: { matrix: -1 / 2, vector: -1 } }),
      'the exponent −1/4 for vectors': () => ({ exponent: { matrix: -1 / 4, vector: -1 / 4 } }),
      'half of ε': (s) => ({ eps: s.eps / 2 }),
      'no momentum': () => ({ betas: [0, 1] }),
      'no bias correction': () => ({ biasCorrection: false }),
      'momentum as a sum': { momentum: (s, before, g) => sum(s.betas[0], before, 1, g) },
      'ε after the root': {
        root: (s, factor, _, exponent) =>
          sum(
            1,
            functionOf(eigen(factor), (value) => (Math.abs(value) + 1e-3) ** exponent),
            s.eps,
            factor,
          ),
      },
      'roots of the factors before': { isRefreshed: (_, t) => t % 2 === 0 },
      'the factor of the momentum': { factor: (s, before, product) => sum(1, before, (1 - s.betas[0]) ** 2, product) },
      grafting: () => ({ grafting: 'sgd' }),
      'weight decay': () => ({ weightDecay: 0.1 }),
    },
  },
  "Gupta's Algorithm 1": {
    options: { ...given, betas: [0, 1] },
    settings: { ...standard, betas: [0, 1] },
    wrong: { momentum: () => ({ betas: [0.5, 1] }), 'an average of products': () => ({ betas: [0, 0.9] }) },
  },
  'averages of products, decay': {
    options: { ...given, betas: [0.5, 0.9], weightDecay: 0.3 },
    settings: { ...standard, betas: [0.5, 0.9], weightDecay: 0.3 },
    wrong: {
      'sums of products': () => ({ betas: [0.5, 1] }),
      'factors without bias correction': {
        root: (s, factor, t, exponent) => right.root({ ...s, biasCorrection: false }, factor, t, exponent),
      },
      'L2 decay': { decay: (_, w) => w },
      'decay without lr': { decay: (s, w) => map(w, (x) => x * (1 - s.weightDecay)) },
    },
  },
  'no bias correction': {
    options: { ...given, betas: [0.5, 0.9], biasCorrection: false },
    settings: { ...standard, betas: [0.5, 0.9], biasCorrection: false },
    wrong: { 'bias correction': () => ({ biasCorrection: true }) },
  },
  'blocks of 2': {
    options: { ...given, maxPreconditionerDim: 2 },
    settings: { ...standard, side: 2 },
    wrong: { 'blocks of 3': () => ({ side: 3 }), 'no blocks': () => ({ side: 1024 }) },
  },
  'roots each second step, from the third on': {
    options: { ...given, preconditionFrequency: 2, startPreconditioningStep: 3 },
    settings: { ...standard, frequency: 2, start: 3 },
    wrong: {
      'from the second on': () => ({ start: 2 }),
      'not at the start itself': { isRefreshed },
      'each step': () => ({ frequency: 1 }),
      'each second step after the start': { isRefreshed: (s, t) => t >= s.start && (t - s.start) % s.frequency === 0 },
    },
  },
  'the first roots when the frequency says': {
    options: { ...given, preconditionFrequency: 3 },
    settings: { ...standard, frequency: 3, start: 3 },
    wrong: { 'at the first step': () => ({ start: 1 }) },
  },
  'grafting of SGD': {
    options: { ...given, grafting: 'sgd' },
    settings: { ...standard, grafting: 'sgd' },
    wrong: {
      none: () => ({ grafting: 'none' }),
      'the length of the gradient': {
        grafted: (s, _, square) => map(square, (v) => Math.sqrt(v * (1 - s.graftingBeta2))),
      },
      'the largest element for the norm': { graft: (u, g) => map(u, (x) => (x * largest(g)) / largest(u)) },
    },
  },
  'grafting of Adam in blocks, from the second step on': {
    options: {
      ...given,
      grafting: 'adam',
      graftingBeta2: 0.9,
      graftingEps: 1e-3,
      startPreconditioningStep: 2,
      maxPreconditionerDim: 3,
      betas: [0.9, 0.95],
    },
    settings: {
      ...standard,
      grafting: 'adam',
      graftingBeta2: 0.9,
      graftingEps: 1e-3,
      start: 2,
      side: 3,
      betas: [0.9, 0.95],
    },
    wrong: {
      'no bias correction of v': () => ({ grafting: 'rmsprop' }),
      'the sum of squares': () => ({ grafting: 'adagrad' }),
      'another β₂': () => ({ graftingBeta2: 0.95 }),
      'another ε': () => ({ graftingEps: 1e-8 }),
      'a norm of the whole matrix': () => ({ side: 1024 }),
      'no bias correction of m': { direction: (_, m) => m },
      'not before the start': () => ({ start: 1 }),
    },
  },
  'grafting of RMSprop': {
    options: { ...given, grafting: 'rmsprop', graftingBeta2: 0.9 },
    settings: { ...standard, grafting: 'rmsprop', graftingBeta2: 0.9 },
    wrong: { 'bias correction of v': () => ({ grafting: 'adam' }) },
  },
  'grafting of Adagrad': {
    options: { ...given, grafting: 'adagrad', graftingEps: 0.01 },
    settings: { ...standard, grafting: 'adagrad', graftingEps: 0.01 },
    wrong: { 'an average of squares': () => ({ grafting: 'rmsprop' }), 'no ε': () => ({ graftingEps: 0 }) },
  },
  'lr and betas by schedules': {
    options: { ...given, lr: schedule, betas: [(step) => 1 - 1 / (step + 1), 1] },
    settings: (t) => ({ ...standard, lr: schedule(t), betas: [1 - 1 / (t + 1), 1] }),
    wrong: { 'the first lr for ever': () => ({ lr: 0.1 }), 'the first beta for ever': () => ({ betas: [0.5, 1] }) },
  },
};

describe.each(Object.entries(runs))('%s', (_, { options, settings, wrong }) => {
  const at = typeof settings === 'function' ? settings : () => settings;
  const start = (shape: readonly number[]): Float32Array =>
    numbers(
      shape.reduce((a, b) => a * b, 1),
      1,
    );
  const found = shapes.map((shape) => trained(options, shape, start(shape)));
  const errors = (given: (t: number) => Settings, formula: Formula): number[] =>
    shapes.map((shape, i) => {
      condition = 1;
      return error(found[i]!, trueParam(given, shape, start(shape), formula));
    });

  test('is the truth', () => {
    for (const [i, each] of errors(at, right).entries()) expect(each, `${shapes[i]}`).toBeLessThanOrEqual(1);
  });

  test.each(Object.entries(wrong))('is not: %s', (_, change) => {
    const given = typeof change === 'function' ? (t: number) => ({ ...at(t), ...change(at(t)) }) : at;
    const formula = typeof change === 'function' ? right : { ...right, ...change };
    expect(errors(given, formula).some((each) => !(each <= 10))).toBe(true);
  });
});
