// Muon against a float64 truth that is written here from the paper, and against published results of PyTorch.
import { describe, expect, test } from 'vitest';
import { Muon, type MuonOptions } from '../../../lib/index.js';
import { lrMistakes } from '../../support/golden/mistakes.js';
import * as truth from '../../support/golden/reference.js';
import { type Create, golden } from '../../support/golden/run.js';
import { numbers } from '../../support/random.js';
import published from './published.json';

// ---- The truth, in float64 ----

type Matrix = readonly (readonly number[])[];

const transpose = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));
const times = (x: Matrix, y: Matrix): Matrix => {
  const columns = transpose(y);
  return x.map((row) => columns.map((column) => row.reduce((sum, value, k) => sum + value * column[k]!, 0)));
};
const sum = (a: number, x: Matrix, b: number, y: Matrix): Matrix =>
  x.map((row, i) => row.map((value, j) => a * value + b * y[i]![j]!));

interface Settings {
  readonly lr: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly coefficients: readonly (readonly [number, number, number])[];
  readonly eps: number;
  readonly weightDecay: number;
  readonly scale: (rows: number, columns: number) => number;
}

const quintic = [3.4445, -4.775, 2.0315] as const;
const five = [quintic, quintic, quintic, quintic, quintic];
const original = (rows: number, columns: number): number => Math.sqrt(Math.max(1, rows / columns));
const standard: Settings = {
  lr: 0.1,
  momentum: 0.95,
  nesterov: true,
  coefficients: five,
  eps: 1e-7,
  weightDecay: 0.1,
  scale: original,
};

/** The parts of the formula, each of which a wrong formula may replace. */
interface Formula {
  buffer(s: Settings, before: Matrix, g: Matrix): Matrix;
  direction(s: Settings, buffer: Matrix, g: Matrix, before: Matrix): Matrix;
  normalized(s: Settings, u: Matrix): Matrix;
  iterate(triple: readonly [number, number, number], x: Matrix): Matrix;
  orthogonalized(s: Settings, u: Matrix, parts: Formula): Matrix;
  update(s: Settings, w: Matrix, x: Matrix): Matrix;
}

const right: Formula = {
  buffer: (s: Settings, before: Matrix, g: Matrix): Matrix => sum(s.momentum, before, 1, g),
  direction: (s: Settings, buffer: Matrix, g: Matrix): Matrix => (s.nesterov ? sum(1, g, s.momentum, buffer) : buffer),
  normalized(s: Settings, u: Matrix): Matrix {
    const norm = Math.sqrt(u.flat().reduce((total, value) => total + value * value, 0));
    return sum(1 / Math.max(norm, s.eps), u, 0, u);
  },
  iterate([a, b, c]: readonly [number, number, number], x: Matrix): Matrix {
    const gram = times(x, transpose(x));
    return sum(a, x, 1, times(sum(b, gram, c, times(gram, gram)), x));
  },
  orthogonalized(s: Settings, u: Matrix, parts: Formula): Matrix {
    const isTall = u.length > u[0]!.length;
    const start = parts.normalized(s, isTall ? transpose(u) : u);
    const x = s.coefficients.reduce((each, triple) => parts.iterate(triple, each), start);
    return isTall ? transpose(x) : x;
  },
  update: (s: Settings, w: Matrix, x: Matrix): Matrix =>
    sum(1 - s.lr * s.weightDecay, w, -s.lr * s.scale(w.length, w[0]!.length), x),
};

/** The matrix of a param: the rows are those of its first dimension. */
function matrixOf(data: ArrayLike<number>, [rows]: readonly number[]): Matrix {
  const columns = data.length / rows!;
  return Array.from({ length: rows! }, (_, i) => Array.from({ length: columns }, (_, j) => data[i * columns + j]!));
}

type SettingsAt = (step: number) => Settings;

function trueParam(at: SettingsAt, shape: readonly number[], start: Float32Array, steps: number, formula: Formula) {
  let w = matrixOf(start, shape);
  let buffer = sum(0, w, 0, w);
  for (let step = 1; step <= steps; step++) {
    const [s, g] = [at(step), matrixOf(numbers(start.length, 10 + step), shape)];
    const before = buffer;
    buffer = formula.buffer(s, before, g);
    w = formula.update(s, w, formula.orthogonalized(s, formula.direction(s, buffer, g, before), formula));
  }
  return w.flat();
}

function trained(options: MuonOptions, shape: readonly number[], start: Float32Array, steps: number): Float32Array {
  const data = start.slice();
  const muon = new Muon({ data, shape }, options);
  for (let step = 1; step <= steps; step++) muon.step(numbers(start.length, 10 + step));
  return data;
}

/**
 * The largest error, in units of what float32 allows. An iteration with these coefficients lets a small singular value grow 3.4445
 * times, and an error with it: 484 times in five steps. Its roundings are of 2⁻²⁴ of the norm, which is 1.
 */
function error(found: Float32Array, expected: readonly number[], { lr, scale }: Settings, rows: number, steps: number) {
  const columns = found.length / rows;
  const unit = 484 * 2 ** -24 * steps * lr * scale(rows, columns);
  return found.reduce((most, w, i) => {
    const allowed = unit + steps * 2 ** -23 * Math.abs(expected[i]!);
    return Math.max(most, Math.abs(w - expected[i]!) / allowed);
  }, 0);
}

const shapes = [
  [1, 1],
  [1, 7],
  [7, 1],
  [3, 5],
  [5, 3],
  [17, 59],
  [59, 17],
  [16, 16],
  [4, 3, 2, 2],
] as const;
const steps = 4;

interface Run {
  readonly options: MuonOptions;
  readonly settings: SettingsAt;
  readonly shapes?: readonly (readonly number[])[];
  readonly wrong: Readonly<Record<string, Partial<Formula> | ((s: Settings) => Partial<Settings>)>>;
}

const schedule = (step: number): number => 0.1 / step;

const runs: Readonly<Record<string, Run>> = {
  defaults: {
    options: { lr: 0.1 },
    settings: () => standard,
    wrong: {
      'no scale': () => ({ scale: () => 1 }),
      'the scale of columns over rows': () => ({ scale: (r, c) => original(c, r) }),
      'the ratio without its root': () => ({ scale: (r, c) => Math.max(1, r / c) }),
      'momentum 0.9': () => ({ momentum: 0.9 }),
      'no Nesterov': () => ({ nesterov: false }),
      'the buffer before': { direction: (s, _, g, before) => sum(1, g, s.momentum, before) },
      'an average for a sum, beside the whole gradient': {
        buffer: (s, before, g) => sum(s.momentum, before, 1 - s.momentum, g),
      },
      'four steps': () => ({ coefficients: five.slice(1) }),
      'six steps': () => ({ coefficients: [...five, quintic] }),
      'b and c exchanged': () => ({ coefficients: five.map(([a, b, c]) => [a, c, b] as const) }),
      'the cubic iteration': () => ({ coefficients: five.map(() => [1.5, -0.5, 0] as const) }),
      'no norm': { normalized: (_, u) => u },
      'the largest element for the norm': {
        normalized: (_, u) => sum(1 / Math.max(...u.flat().map(Math.abs)), u, 0, u),
      },
      'the gram matrix of the columns, elementwise': {
        iterate: ([a, b, c], x) => {
          const gram = times(x, transpose(x));
          const square = gram.map((row) => row.map((value) => value * value));
          return sum(a, x, 1, times(sum(b, gram, c, square), x));
        },
      },
      'no decay': () => ({ weightDecay: 0 }),
      'decay by lr times the scale': {
        update: (s, w, x) => {
          const rate = s.lr * s.scale(w.length, w[0]!.length);
          return sum(1 - rate * s.weightDecay, w, -rate, x);
        },
      },
      'decay after the update': {
        update: (s, w, x) => {
          const moved = sum(1, w, -s.lr * s.scale(w.length, w[0]!.length), x);
          return sum(1 - s.lr * s.weightDecay, moved, 0, moved);
        },
      },
      'the filter read column by column': {
        orthogonalized: (s, u, parts) => {
          const turned = matrixOf(transpose(u).flat(), [u.length]);
          return right.orthogonalized(s, turned, parts);
        },
      },
    },
  },
  'match_rms_adamw, no Nesterov, no decay': {
    options: { lr: 0.1, adjustLrFn: 'match_rms_adamw', nesterov: false, momentum: 0.5, weightDecay: 0 },
    settings: () => ({
      ...standard,
      nesterov: false,
      momentum: 0.5,
      weightDecay: 0,
      scale: (r, c) => 0.2 * Math.sqrt(Math.max(r, c)),
    }),
    wrong: {
      'the smaller side': () => ({ scale: (r, c) => 0.2 * Math.sqrt(Math.min(r, c)) }),
      'without 0.2': () => ({ scale: (r, c) => Math.sqrt(Math.max(r, c)) }),
      Nesterov: () => ({ nesterov: true }),
    },
  },
  'columns of outputs': {
    options: { lr: 0.1, outputs: 'columns' },
    settings: () => ({ ...standard, scale: (r, c) => original(c, r) }),
    wrong: { 'rows of outputs': () => ({ scale: original }) },
  },
  'adjustLrFn none, 3 steps of other coefficients': {
    options: { lr: 0.1, adjustLrFn: 'none', nsSteps: 3, nsCoefficients: [2, -1.5, 0.5] },
    settings: () => ({ ...standard, scale: () => 1, coefficients: five.slice(2).map(() => [2, -1.5, 0.5] as const) }),
    wrong: {
      'with the scale': () => ({ scale: original }),
      'five steps': () => ({ coefficients: five.map(() => [2, -1.5, 0.5] as const) }),
    },
  },
  'a list of triples': {
    options: { lr: 0.1, nsCoefficients: [[4, -6, 3], quintic, [2, -1.5, 0.5]] },
    settings: () => ({ ...standard, coefficients: [[4, -6, 3], quintic, [2, -1.5, 0.5]] }),
    wrong: {
      'in the other order': () => ({ coefficients: [[2, -1.5, 0.5], quintic, [4, -6, 3]] }),
      'the first for all': () => ({
        coefficients: [
          [4, -6, 3],
          [4, -6, 3],
          [4, -6, 3],
        ],
      }),
      'five steps': () => ({ coefficients: [[4, -6, 3], quintic, ...five.slice(2)] }),
    },
  },
  'more than ten steps': {
    options: { lr: 0.1, nsSteps: 12, nsCoefficients: [1.2, -0.2, 0.01] },
    settings: () => ({ ...standard, coefficients: Array.from({ length: 12 }, () => [1.2, -0.2, 0.01] as const) }),
    shapes: [
      [3, 5],
      [7, 1],
      [59, 17],
    ],
    wrong: {
      'ten steps': () => ({ coefficients: Array.from({ length: 10 }, () => [1.2, -0.2, 0.01] as const) }),
    },
  },
  'lr, momentum and a coefficient by schedules': {
    options: {
      lr: schedule,
      momentum: (step) => 1 - 1 / (step + 1),
      nsCoefficients: [(step) => 3 + 0.4 / step, -4.775, 2.0315],
    },
    settings: (step) => ({
      ...standard,
      lr: schedule(step),
      momentum: 1 - 1 / (step + 1),
      coefficients: five.map(([, b, c]) => [3 + 0.4 / step, b, c] as const),
    }),
    wrong: {
      'the first lr for ever': () => ({ lr: 0.1 }),
      'the first momentum for ever': () => ({ momentum: 0.5 }),
      'the first coefficient for ever': () => ({ coefficients: five.map(([, b, c]) => [3.4, b, c] as const) }),
    },
  },
  'eps above the norm': {
    options: { lr: 0.1, eps: 100 },
    settings: () => ({ ...standard, eps: 100 }),
    wrong: {
      'the default eps': () => ({ eps: 1e-7 }),
      'eps added to the norm': {
        normalized: (s, u) => {
          const norm = Math.sqrt(u.flat().reduce((total, value) => total + value * value, 0));
          return sum(1 / (norm + s.eps), u, 0, u);
        },
      },
    },
  },
};

describe.each(Object.entries(runs))('%s', (_, { options, settings, shapes: own = shapes, wrong }) => {
  const start = (shape: readonly number[]): Float32Array =>
    numbers(
      shape.reduce((a, b) => a * b),
      1,
    );
  const errors = (at: SettingsAt, formula: Formula): number[] =>
    own.map((shape) => {
      const expected = trueParam(at, shape, start(shape), steps, formula);
      return error(trained(options, shape, start(shape), steps), expected, settings(1), shape[0]!, steps);
    });

  test('is the truth', () => {
    for (const [i, each] of errors(settings, right).entries()) expect(each, `${own[i]}`).toBeLessThanOrEqual(1);
  });

  test.each(Object.entries(wrong))('is not: %s', (_, change) => {
    const at: SettingsAt =
      typeof change === 'function' ? (step) => ({ ...settings(step), ...change(settings(step)) }) : settings;
    const formula = typeof change === 'function' ? right : { ...right, ...change };
    // A wrong iteration may diverge to NaN.
    expect(errors(at, formula).some((each) => !(each <= 10))).toBe(true);
  });
});

test('the singular values of the update are between 0.6 and 1.3', () => {
  // The first step has no momentum, so the update of a diagonal matrix shows them.
  const data = new Float32Array(9);
  const muon = new Muon({ data, shape: [3, 3] }, { lr: 1, weightDecay: 0 });
  muon.step(Float32Array.of(3, 0, 0, 0, -1, 0, 0, 0, 0.4));
  const [a, b, c] = [-data[0]!, data[4]!, -data[8]!];
  for (const value of [a, b, c]) expect(value > 0.6 && value < 1.3, String(value)).toBe(true);
  expect([...data].filter((value) => value !== 0)).toHaveLength(3);
});

describe("PyTorch's published code in float64", () => {
  test.each(published.map((run) => [run.shape.join('×'), run] as const))('%s', (_, run) => {
    const {
      shape,
      steps,
      lr,
      momentum,
      nesterov,
      weight_decay: weightDecay,
      ns_steps: nsSteps,
      rule,
      coefficients,
    } = run;
    const options = Object.fromEntries(
      Object.entries({
        lr,
        momentum,
        nesterov,
        weightDecay,
        nsSteps,
        adjustLrFn: rule,
        nsCoefficients: coefficients,
      }).filter(([, value]) => value !== undefined),
    ) as MuonOptions;
    const data = numbers(run.result.length, 1);
    const muon = new Muon({ data, shape }, options);
    for (let step = 0; step < steps; step++) muon.step(numbers(run.result.length, 10 + step));
    const scale = rule === undefined ? original : (r: number, c: number) => 0.2 * Math.sqrt(Math.max(r, c));
    expect(error(data, run.result, { ...standard, lr, scale }, shape[0]!, steps)).toBeLessThanOrEqual(1);
  });
});

// ---- AdamW, in the same class ----

const adamw: Create = (params, { lr, betas, eps, weightDecay, ...others }) =>
  new Muon(params, {
    adamLr: lr,
    lr: 7,
    adamBetas: betas,
    adamEps: eps,
    adamWeightDecay: weightDecay,
    weightDecay: 3,
    ...others,
  } as never);
/** Leaves betas and eps to the defaults of Muon, which the truth below spells out. */
const inherits: Create = (params, { betas: _, eps: __, ...others }) => new Muon(params, others as never);
const ofMuon = { betas: [0.9, 0.95], eps: 1e-10 } as const;
const decaying = (step: number): number => 0.1 / step;

golden('params without a shape: AdamW with options of its own', adamw, {
  'lr 0.1/t, decay': {
    formula: truth.adamW,
    options: { lr: decaying, betas: [0.8, 0.9], eps: 1e-3, weightDecay: 0.1 },
    gradients: 'plain',
    skips: (step, param) => (step + param) % 3 === 0,
    wrong: {
      ...lrMistakes(decaying),
      'decay of Muon': { options: { weightDecay: 3 } },
      'betas of Adam': { options: { betas: [0.9, 0.999] } },
      'eps 1e-10': { options: { eps: 1e-10 } },
    },
  },
});
golden('params without a shape: AdamW with the options of Muon', inherits, {
  'lr 0.01, decay': {
    formula: truth.adamW,
    options: { lr: 0.01, weightDecay: 0.2, ...ofMuon },
    gradients: 'plain',
    wrong: {
      'no decay': { options: { weightDecay: 0 } },
      'betas of Adam': { options: { betas: [0.9, 0.999] } },
      'another lr': { options: { lr: 0.011 } },
    },
  },
});
