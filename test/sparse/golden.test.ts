/**
 * Sparse gradients against float64, with lazy semantics: a step touches only the rows that are named,
 * a row named twice gets the sum of its gradients, decay applies to touched rows, and t counts the param's steps.
 */

import { describe, expect, it } from 'vitest';
import {
  ADOPT,
  AdaBelief,
  Adadelta,
  Adagrad,
  AdagradDA,
  Adam,
  Adamax,
  AdamaxW,
  AdamW,
  Adan,
  AdEMAMix,
  ASGD,
  COCOB,
  FTRL,
  Lion,
  MADGRAD,
  NAdam,
  OptimisticAdam,
  OptimisticGradientDescent,
  ProximalAdagrad,
  RAdam,
  RMSprop,
  Rprop,
  ScheduleFreeAdamW,
  ScheduleFreeSGD,
  SGD,
  SignSGD,
  Signum,
  SimplifiedAdEMAMix,
  Sophia,
  Yogi,
} from '../../lib/index.js';
import { declarations } from '../support/classes.js';
import { gradient, weights } from '../support/golden/data.js';
import * as second from '../support/golden/element-truth.js';
import * as truth from '../support/golden/reference.js';
import { type Cell, type Formula, type Hyper, hyperAt, type Options, Reference } from '../support/golden/reference.js';

// --- The truth -------------------------------------------------------------------------------------------------------

interface Rows {
  readonly rows: Int32Array;
  readonly values: Float32Array;
}
type Given = Float32Array | Rows | null;
/** The gradient of each row. */
type Gathered = Map<number, number[]>;

const rowWise: Formula = {
  ...truth.adagrad,
  measure(row) {
    const meanSquare = row.reduce((sum, x) => sum + x.g ** 2, 0) / row.length;
    for (const x of row) x['s'] = (x['s'] ?? Number.NaN) + meanSquare;
  },
  update(x, { lr, eps, lrDecay }, t) {
    x.w = x.w - ((lr / (1 + (t - 1) * lrDecay)) * x.g) / (Math.sqrt(x['s'] ?? Number.NaN) + eps);
  },
};

/** Adam whose rows have one s each, or count their updates n by themselves. */
function adamOfRows({ rowWise = false, rowSteps = false }, formula: Formula = truth.adam): Formula {
  const ofRow: Partial<Formula> = {
    measure(row, { beta2 }) {
      const meanSquare = row.reduce((sum, x) => sum + x.g ** 2, 0) / row.length;
      for (const x of row) x['s'] = beta2 * (x['s'] ?? Number.NaN) + (1 - beta2) * meanSquare;
    },
  };
  const corrections = { c1: 'biasCorrection1', c2: 'biasCorrection2' };
  return {
    ...formula,
    ...(rowWise ? ofRow : {}),
    stateNames: { ...formula.stateNames, ...(rowSteps ? corrections : {}) },
    update(x, { lr, beta1, beta2, eps }, t) {
      x['n'] = (x['n'] ?? 0) + 1;
      const n = rowSteps ? x['n'] : t;
      x['m'] = beta1 * (x['m'] ?? Number.NaN) + (1 - beta1) * x.g;
      if (!rowWise) x['s'] = beta2 * (x['s'] ?? Number.NaN) + (1 - beta2) * x.g ** 2;
      x['c1'] = 1 - beta1 ** n;
      x['c2'] = 1 - beta2 ** n;
      x.w = x.w - (lr * x['m']) / x['c1'] / (Math.sqrt((x['s'] ?? Number.NaN) / x['c2']) + eps);
    },
  };
}

/** One optimizer over tables. Wrong ones override its methods. */
class Lazy extends Reference {
  protected readonly momenta: number[];
  constructor(
    override readonly formula: Formula,
    options: Options,
    params: readonly ArrayLike<number>[],
    readonly columns: readonly number[],
  ) {
    super(formula, options, params);
    this.momenta = params.map(() => 0);
  }

  take(given: readonly Given[], gradScale: number): void {
    this.stepCount += 1;
    const h = hyperAt(this.stepCount, this.options, this.formula.defaults);
    const gathered = given.map((grad, p) => (grad === null ? null : this.gather(grad, p)));
    const flat = given.map((grad, p) => (grad === null ? null : this.measured(grad, gathered[p] as Gathered, p)));
    const coefficients = this.coefficients(flat, gradScale);
    for (const [p, rows] of gathered.entries()) {
      if (rows === null) continue;
      const t = this.timeOf(p, rows);
      h.previousMomentum = this.momenta[p] ?? Number.NaN;
      this.momenta[p] = h.momentum;
      const cells = this.params[p] ?? [];
      if (t === 1) for (const x of cells) Object.assign(x, { ema: x.w, ...this.formula.start?.(h, x.w) });
      for (const [row, grad] of rows) {
        const touched = this.cellsOf(p, row);
        touched.forEach((x, k) => {
          x.g = this.gradient(grad[k] ?? Number.NaN, x.w, gradScale, coefficients[p] ?? Number.NaN, h);
        });
        this.row(touched, p, row, h, t);
      }
      this.keepTime(p, rows, h, t);
      this.afterwards(p, rows, h, t);
    }
  }

  /** State that depends on the steps alone, such as NAdam's product of momenta, belongs to the param, as t does. */
  private keepTime(p: number, rows: Gathered, h: Hyper, t: number): void {
    const letters = Object.entries(this.formula.stateNames).filter(([, name]) => name === null);
    if (letters.length === 0) return;
    const size = this.columns[p] ?? Number.NaN;
    this.params[p]?.forEach((x, i) => {
      if (rows.has(Math.floor(i / size))) return;
      const other = { ...x };
      this.formula.update(other, h, t);
      for (const [letter] of letters) x[letter] = other[letter] ?? Number.NaN;
    });
  }

  cellsOf(p: number, row: number): Cell<string>[] {
    const size = this.columns[p] ?? Number.NaN;
    return (this.params[p] ?? []).slice(row * size, (row + 1) * size);
  }

  /** The summed gradient of each named row, or all rows of a dense gradient. */
  protected gather(grad: Float32Array | Rows, p: number): Gathered {
    const size = this.columns[p] ?? Number.NaN;
    const [names, values] =
      grad instanceof Float32Array
        ? [Array.from({ length: grad.length / size }, (_, i) => i), grad]
        : [grad.rows, grad.values];
    const rows: Gathered = new Map();
    Array.from(names).forEach((row, i) => {
      const part = Array.from(values.subarray(i * size, (i + 1) * size));
      const first = rows.get(row);
      rows.set(row, first === undefined ? part : this.together(first, part));
    });
    return rows;
  }

  protected together(sum: number[], part: number[]): number[] {
    return sum.map((x, k) => x + (part[k] ?? Number.NaN));
  }

  /** The values that enter the norm. */
  protected measured(_grad: Float32Array | Rows, rows: Gathered, _p: number): number[] {
    return [...rows.values()].flat();
  }

  protected timeOf(p: number, _rows: Gathered): number {
    this.updates[p] = (this.updates[p] ?? 0) + 1;
    return this.updates[p] ?? Number.NaN;
  }

  protected row(cells: readonly Cell<string>[], _p: number, _row: number, h: Hyper, t: number): void {
    this.measure(cells, h, t);
    for (const x of cells) this.update(x, h, t);
  }

  protected afterwards(_p: number, _rows: Gathered, _h: Hyper, _t: number): void {}
}

// --- Wrong on purpose ------------------------------------------------------------------------------------------------

type Truth = typeof Lazy;

function together(join: (sum: number[], part: number[]) => number[]): Truth {
  return class extends Lazy {
    protected override together(sum: number[], part: number[]): number[] {
      return join(sum, part);
    }
  };
}

/** Classes whose formula has no t, or not that of the param. */
const timeless = [
  'SGD',
  'SGD, momentum',
  'SGD, Nesterov',
  'Adagrad { rowWise }, no decay of lr',
  'RMSprop',
  'RMSprop, centered, momentum',
  'Adadelta',
  'Lion',
  'Rprop',
  'FTRL',
  'SignSGD',
  'Signum',
  'Sophia',
  'ProximalAdagrad',
  'COCOB',
  'Adam { rowSteps }',
  'AdamW { rowSteps }',
  'Adam { rowWise, rowSteps }',
];

/** Each mistake with the classes in which it cannot show. */
const mistakes: Record<string, readonly [Truth, ...blind: string[]]> = {
  'a row named twice has its last gradient': [together((_, part) => part)],
  'a row named twice has its first gradient': [together((sum) => sum)],
  'a row named twice has the mean of its gradients': [
    together((sum, part) => sum.map((x, k) => (x + (part[k] ?? 0)) / 2)),
  ],
  'a row that is not named has a gradient of 0': [
    class extends Lazy {
      protected override gather(grad: Float32Array | Rows, p: number): Gathered {
        const rows = super.gather(grad, p);
        const size = this.columns[p] ?? Number.NaN;
        const count = (this.params[p] ?? []).length / size;
        return new Map(Array.from({ length: count }, (_, row) => [row, rows.get(row) ?? new Array(size).fill(0)]));
      }
    },
    'FTRL', // a gradient of 0 keeps w
  ],
  'decay is for all rows': [
    class extends Lazy {
      protected override afterwards(p: number, rows: Gathered, h: Hyper): void {
        const size = this.columns[p] ?? Number.NaN;
        this.params[p]?.forEach((x, i) => {
          if (!rows.has(Math.floor(i / size))) x.w = x.w * (1 - h.lr * h.weightDecay);
        });
      }
    },
    'FTRL',
    'Rprop',
    'ProximalAdagrad',
    'AdagradDA',
  ],
  't counts the updates of a row': [
    class extends Lazy {
      readonly #times = new Map<string, number>();
      protected override row(cells: readonly Cell<string>[], p: number, row: number, h: Hyper): void {
        const t = (this.#times.get(`${p} ${row}`) ?? 0) + 1;
        this.#times.set(`${p} ${row}`, t);
        if (t === 1 && 'has' in this.formula.stateNames) for (const x of cells) x['has'] = 0; // SGD: no buffer yet
        super.row(cells, p, row, h, t);
      }
    },
    ...timeless,
  ],
  'no rows at all are no update': [
    class extends Lazy {
      protected override timeOf(p: number, rows: Gathered): number {
        return rows.size === 0 ? (this.updates[p] ?? 0) : super.timeOf(p, rows);
      }
    },
    ...timeless,
    'SGD, buffer',
    'OptimisticGradientDescent',
  ],
  'the norm is of the parts': [
    class extends Lazy {
      protected override measured(grad: Float32Array | Rows): number[] {
        return Array.from(grad instanceof Float32Array ? grad : grad.values);
      }
    },
  ],
  'the rows are those of the position': [
    class extends Lazy {
      protected override gather(grad: Float32Array | Rows, p: number): Gathered {
        if (grad instanceof Float32Array) return super.gather(grad, p);
        const count = (this.params[p] ?? []).length / (this.columns[p] ?? Number.NaN);
        return super.gather({ ...grad, rows: grad.rows.map((_, i) => i % count) }, p);
      }
    },
  ],
  'a row named twice is updated twice': [
    class extends Lazy {
      readonly #times = new Map<string, number>();
      protected override gather(grad: Float32Array | Rows, p: number): Gathered {
        const names = grad instanceof Float32Array ? [] : Array.from(grad.rows);
        const rows = super.gather(grad, p);
        for (const row of rows.keys()) this.#times.set(`${p} ${row}`, names.filter((name) => name === row).length);
        return rows;
      }
      protected override row(cells: readonly Cell<string>[], p: number, row: number, h: Hyper, t: number): void {
        for (let i = 0; i < Math.max(this.#times.get(`${p} ${row}`) ?? 1, 1); i += 1) super.row(cells, p, row, h, t);
      }
    },
  ],
  'the average follows all rows': [
    class extends Lazy {
      protected override afterwards(p: number, rows: Gathered): void {
        const size = this.columns[p] ?? Number.NaN;
        this.params[p]?.forEach((x, i) => {
          if (!rows.has(Math.floor(i / size))) x.ema = x.ema + (1 - (this.options.ema ?? 1)) * (x.w - x.ema);
        });
      }
    },
  ],
  'clipValue clamps the parts': [
    class extends Lazy {
      protected override gather(grad: Float32Array | Rows, p: number): Gathered {
        if (grad instanceof Float32Array) return super.gather(grad, p);
        const limit = Number(this.options.clipValue);
        return super.gather({ ...grad, values: grad.values.map((x) => Math.min(Math.max(x, -limit), limit)) }, p);
      }
      protected override measured(grad: Float32Array | Rows, rows: Gathered, p: number): number[] {
        return super.measured(grad, grad instanceof Float32Array ? rows : super.gather(grad, p), p);
      }
    },
  ],
};

// --- Runs ------------------------------------------------------------------------------------------------------------

interface Run {
  readonly make: (
    params: { data: Float32Array; shape: [number, number] }[],
    options: Options,
  ) => InstanceType<typeof SGD>;
  readonly formula: Formula;
  readonly options: Options;
}

const decaying = (step: number): number => 0.05 / step;
const making = <C extends new (params: never, options: never) => unknown>(Class: C) =>
  ((params: never, options: never) => new Class(params, options)) as unknown as Run['make'];

/** Every class, in forms of each of its formulas. */
const runs: Record<string, Run> = {
  SGD: { make: making(SGD), formula: truth.sgd, options: { lr: decaying } },
  'SGD, momentum': { make: making(SGD), formula: truth.momentum, options: { lr: decaying, momentum: 0.9 } },
  'SGD, Nesterov': {
    make: making(SGD),
    formula: truth.nesterovChanging,
    options: { lr: decaying, momentum: (step) => 0.9 - 0.4 / step, nesterov: true },
  },
  'SGD, buffer': {
    make: making(SGD),
    formula: truth.buffer,
    options: { lr: decaying, momentum: 0.9, dampening: 0.2, momentumForm: 'buffer' },
  },
  Adagrad: {
    make: making(Adagrad),
    formula: truth.adagrad,
    options: { lr: 0.1, lrDecay: 0.1, initialAccumulatorValue: 0.01 },
  },
  'Adagrad { rowWise }': {
    make: (params, options) => new Adagrad(params, { ...options, rowWise: true } as never) as never,
    formula: rowWise,
    options: { lr: 0.1, lrDecay: 0.1, initialAccumulatorValue: 0.01 },
  },
  'Adagrad { rowWise }, no decay of lr': {
    make: (params, options) => new Adagrad(params, { ...options, rowWise: true } as never) as never,
    formula: rowWise,
    options: { lr: decaying },
  },
  RMSprop: { make: making(RMSprop), formula: truth.rmsprop, options: { lr: decaying, eps: 0.01 } },
  'RMSprop, centered, momentum': {
    make: making(RMSprop),
    formula: truth.rmspropCenteredMomentum,
    options: { lr: decaying, eps: 0.01, centered: true, momentum: 0.9 },
  },
  Adam: { make: making(Adam), formula: truth.adam, options: { lr: decaying, eps: 0.01 } },
  'Adam, amsgrad': {
    make: making(Adam),
    formula: truth.amsgrad,
    options: { lr: decaying, eps: 0.01, amsgrad: true, betas: [0.8, 0.9] },
  },
  'Adam { rowWise }': {
    make: (params, options) => new Adam(params, { ...options, rowWise: true } as never) as never,
    formula: adamOfRows({ rowWise: true }),
    options: { lr: decaying, eps: 0.01 },
  },
  'Adam { rowSteps }': {
    make: (params, options) => new Adam(params, { ...options, rowSteps: true } as never) as never,
    formula: adamOfRows({ rowSteps: true }),
    options: { lr: decaying, eps: 0.01, betas: [0.8, 0.99] },
  },
  'Adam { rowWise, rowSteps }': {
    make: (params, options) => new Adam(params, { ...options, rowWise: true, rowSteps: true } as never) as never,
    formula: adamOfRows({ rowWise: true, rowSteps: true }),
    options: { lr: (step) => 0.02 / step, eps: 0.01 },
  },
  'AdamW { rowSteps }': {
    make: (params, options) => new AdamW(params, { ...options, rowSteps: true } as never) as never,
    formula: adamOfRows({ rowSteps: true }, truth.adamW),
    options: { lr: decaying, eps: 0.01 },
  },
  AdamW: { make: making(AdamW), formula: truth.adamW, options: { lr: decaying, eps: 0.01 } },
  Adadelta: { make: making(Adadelta), formula: truth.adadelta, options: {} },
  Adamax: { make: making(Adamax), formula: truth.adamax, options: { lr: decaying, eps: 0.01 } },
  NAdam: { make: making(NAdam), formula: truth.nadam, options: { lr: decaying, eps: 0.01 } },
  RAdam: { make: making(RAdam), formula: truth.radam, options: { lr: decaying, eps: 0.01 } },
  Lion: { make: making(Lion), formula: truth.lion, options: { lr: decaying } },
  AdEMAMix: {
    make: making(AdEMAMix),
    formula: truth.ademamix,
    options: { lr: decaying, eps: 0.01, alphaSteps: 10, beta3Steps: 10, betas: [0.9, 0.999, 0.99] },
  },
  ASGD: { make: making(ASGD), formula: truth.asgd, options: { lr: decaying, lambd: 0.1, alpha: 0.5, t0: 8 } },
  ScheduleFreeSGD: {
    make: making(ScheduleFreeSGD),
    formula: truth.scheduleFreeSgd,
    options: { lr: 0.1, warmupSteps: 5, r: 0.5 },
  },
  ScheduleFreeAdamW: {
    make: making(ScheduleFreeAdamW),
    formula: truth.scheduleFreeAdamw,
    options: { lr: 0.1, warmupSteps: 5, r: 0.5, eps: 0.01 },
  },
  Rprop: { make: making(Rprop), formula: truth.rprop, options: {} },
  FTRL: { make: making(FTRL), formula: truth.ftrl, options: { lr: 0.1, l1: 0.01 } },
  AdaBelief: { make: making(AdaBelief), formula: second.adabelief, options: { lr: decaying, eps: 0.01 } },
  Sophia: { make: making(Sophia), formula: second.sophiaWithoutEstimates, options: { lr: decaying, eps: 0.5 } },
  Yogi: { make: making(Yogi), formula: second.yogi, options: { lr: decaying, eps: 0.01 } },
  ADOPT: { make: making(ADOPT), formula: second.adopt, options: { lr: decaying, eps: 0.1 } },
  'ADOPT, decoupled decay': {
    make: making(ADOPT),
    formula: second.adoptDecoupled,
    options: { lr: decaying, eps: 0.1, decoupledWeightDecay: true },
  },
  // v, an average of differences of gradients, has an error relative to the gradients: not compared, but w is.
  Adan: {
    make: making(Adan),
    formula: {
      ...second.adan,
      stateNames: { m: 'expAvg', s: 'expAvgSq', last: 'previousGrad' },
      start: () => ({ v: 0 }),
    },
    options: { lr: decaying, eps: 0.01 },
  },
  SignSGD: { make: making(SignSGD), formula: second.signSgd, options: { lr: decaying } },
  Signum: { make: making(Signum), formula: second.signum, options: { lr: decaying } },
  AdamaxW: {
    make: making(AdamaxW),
    formula: second.adamaxW,
    options: { lr: decaying, eps: 0.01 },
  },
  ProximalAdagrad: { make: making(ProximalAdagrad), formula: second.proximalAdagrad, options: { l1: 0.01 } },
  AdagradDA: { make: making(AdagradDA), formula: second.adagradDa, options: { l1: 0.01 } },
  OptimisticGradientDescent: {
    make: making(OptimisticGradientDescent),
    formula: second.optimisticGradientDescent,
    options: { lr: decaying, beta: 0.5 },
  },
  OptimisticAdam: {
    make: making(OptimisticAdam),
    formula: second.optimisticAdam,
    options: { lr: decaying, eps: 0.01, beta: 0.5 },
  },
  SimplifiedAdEMAMix: {
    make: making(SimplifiedAdEMAMix),
    formula: second.simplifiedAdemamix,
    options: { lr: decaying, eps: 0.01, alpha: 2 },
  },
  COCOB: { make: making(COCOB), formula: second.cocob, options: { lr: decaying, alpha: 5 } },
  MADGRAD: { make: making(MADGRAD), formula: second.madgrad, options: { lr: (step) => 1e-4 / step, eps: 1e-5 } },
};

const shapes: [rows: number, columns: number][] = [
  [7, 3],
  [5, 1],
  [3, 20],
];
const columns = shapes.map(([, size]) => size);
const STEPS = 20;

/** Random rows, named up to three times, and sometimes a dense, empty or null gradient. */
function givenAt(step: number): Given[] {
  return shapes.map(([rows, size], p) => {
    const form = (step + 2 * p) % 9;
    const of = (length: number): Float32Array => gradient(length, step * 1009 + p, 'plain', 1);
    if (form === 3) return null;
    if (form === 5) return of(rows * size);
    if (form === 7) return { rows: new Int32Array(0), values: new Float32Array(0) };
    const names = Array.from({ length: rows }, (_, i) => ((step * 7 + i * i * 3 + p) % 11) % rows);
    return { rows: Int32Array.from(names), values: of(names.length * size) };
  });
}

interface Recording {
  readonly params: Float32Array[];
  readonly seen: ReadonlyMap<string, number[]>[];
  readonly steps: number[];
}

function optionsOf({ formula, options }: Run): Options {
  const decay = formula.decay === 'none' ? {} : { weightDecay: 0.05 };
  return { ...options, ...decay, maximize: true, clipNorm: 20, clipValue: 0.8, ema: 0.9 };
}

const gradScale = 0.75;

function record(run: Run): Recording {
  const params = shapes.map(([rows, size], p) => weights(rows * size, 100 + p));
  const live = params.map((param) => param.slice());
  const optimizer = run.make(
    live.map((data, p) => ({ data, shape: shapes[p] as [number, number] })),
    optionsOf(run),
  );
  const seen = Array.from({ length: STEPS }, (_, k) => {
    const { applied, gradNorm } = optimizer.step(givenAt(k + 1), { gradScale });
    expect(applied, 'every step must be applied').toBe(true);
    const now = new Map<string, number[]>([['gradNorm', [gradNorm ?? Number.NaN]]]);
    for (const [p, param] of live.entries()) {
      now.set(`w[${p}]`, Array.from(param));
      now.set(`ema[${p}]`, Array.from((optimizer.emaParams as Float32Array[])[p] ?? []));
      const state: Readonly<Record<string, unknown>> = optimizer.stateDict().state[p] ?? {};
      for (const [letter, name] of Object.entries(run.formula.stateNames)) {
        if (name !== null) now.set(`${letter}[${p}]`, Array.from(state[name] as Float32Array));
      }
    }
    return now;
  });
  return { params, seen, steps: live.map((_, p) => optimizer.stateDict().state[p]?.step ?? Number.NaN) };
}

/**
 * The first difference from a reference. error-bound.ts shows for each formula that float32 stays within 16 roundings
 * per step of a number and of its path. A step here adds a sum of up to three gradients.
 */
function mismatch(run: Run, { params, seen }: Recording, Kind: Truth = Lazy): string | undefined {
  const reference = new Kind(run.formula, optionsOf(run), params, columns);
  const paths = new Map<string, number[]>();
  const started = shapes.map(() => false);
  let before = new Map<string, number[]>();
  for (const [k, actual] of seen.entries()) {
    reference.take(givenAt(k + 1), gradScale);
    const expected = new Map<string, number[]>([['gradNorm', [reference.gradNorm]]]);
    for (const [p, cells] of reference.params.entries()) {
      const [rows, size] = shapes[p] as [number, number];
      started[p] ||= givenAt(k + 1)[p] !== null;
      if (!started[p]) continue; // its state and its average start with its first update
      for (const letter of ['w', 'ema', ...Object.keys(run.formula.stateNames)]) {
        // State with one number per row shows its first cell.
        const isOfRow = (run.formula.measure !== undefined && letter === 's') || letter === 'c1' || letter === 'c2';
        const of = isOfRow ? Array.from({ length: rows }, (_, row) => cells[row * size]) : cells;
        expected.set(
          `${letter}[${p}]`,
          of.map((x) => x?.[letter] ?? Number.NaN),
        );
      }
    }
    for (const [where, values] of actual) {
      const path = paths.get(where) ?? values.map(() => 0);
      paths.set(where, path);
      for (const [i, e] of (expected.get(where) ?? []).entries()) {
        path[i] = where === 'gradNorm' ? 0 : (path[i] ?? 0) + Math.abs(e - (before.get(where)?.[i] ?? 0));
        const tolerance = 16 * 2 ** -24 * (k + 1) * (Math.abs(e) + (path[i] ?? 0));
        const a = values[i] ?? Number.NaN;
        if (!(Math.abs(a - e) <= tolerance)) return `step ${k + 1}: ${where}[${i}]: ${a}, expected ${e} ± ${tolerance}`;
      }
      if (values.length !== expected.get(where)?.length && expected.has(where))
        return `${where}: ${values.length} numbers`;
    }
    before = expected;
  }
  return undefined;
}

// --- Tests -----------------------------------------------------------------------------------------------------------

it('every optimizer has sparse golden values', () => {
  const here = [...new Set(Object.keys(runs).map((title) => title.split(/[ ,]/)[0]))];
  const wanted: readonly string[] = declarations.filter((d) => d.denseOnly === undefined).map(({ name }) => name);
  expect(
    wanted.filter((name) => !here.includes(name)),
    'classes without a run',
  ).toEqual([]);
  expect(
    here.filter((name) => !wanted.includes(name as string)),
    'runs of no such class',
  ).toEqual([]);
});

it('the test gradients repeat rows, and name no row, some rows and all rows', () => {
  const all = Array.from({ length: STEPS }, (_, k) => givenAt(k + 1)).flat();
  const rows = all.filter((grad): grad is Rows => grad !== null && 'rows' in grad);
  const most = rows.map((grad) =>
    Math.max(0, ...Array.from(grad.rows, (row) => grad.rows.filter((r) => r === row).length)),
  );
  expect(new Set(most)).toEqual(new Set([0, 1, 2, 3]));
  expect(all.filter((grad) => grad === null).length).toBeGreaterThan(3);
  expect(all.filter((grad) => grad instanceof Float32Array).length).toBeGreaterThan(3);
});

describe.each(Object.entries(runs))('%s', (title, run) => {
  const recording = record(run);

  it('agrees with float64', () => {
    expect(mismatch(run, recording)).toBeUndefined();
  });

  it('counts the steps of each param', () => {
    const counts = shapes.map(
      (_, p) => Array.from({ length: STEPS }, (_, k) => givenAt(k + 1)[p]).filter((g) => g !== null).length,
    );
    expect(recording.steps).toEqual(counts);
  });

  const visible = Object.entries(mistakes).filter(([, [, ...blind]]) => !blind.includes(title));
  it.each(visible.map(([what, [Kind]]) => [what, Kind] as const))('differs from: %s', (_, Kind) => {
    expect(mismatch(run, recording, Kind)).toBeDefined();
  });
});

const rowMistakes: Record<string, Formula['measure']> = {
  'a sum, not a mean': (row, h, t) => {
    rowWise.measure?.(row, h, t);
    for (const x of row) x['s'] = (x['s'] ?? 0) + row.reduce((sum, y) => sum + y.g ** 2, 0) * (1 - 1 / row.length);
  },
  'an accumulator for each element': (row) => {
    for (const x of row) x['s'] = (x['s'] ?? 0) + x.g ** 2;
  },
  'the square of the mean': (row) => {
    const mean = row.reduce((sum, x) => sum + x.g, 0) / row.length;
    for (const x of row) x['s'] = (x['s'] ?? 0) + mean ** 2;
  },
  'the largest square': (row) => {
    for (const x of row) x['s'] = (x['s'] ?? 0) + Math.max(...row.map((y) => y.g ** 2));
  },
  'the mean without decay': (row, h) => {
    const meanSquare = row.reduce((sum, x) => sum + (x.g - h.weightDecay * x.w) ** 2, 0) / row.length;
    for (const x of row) x['s'] = (x['s'] ?? 0) + meanSquare;
  },
  'the mean after the update': () => {},
};

describe('Adagrad { rowWise }', () => {
  const run = runs['Adagrad { rowWise }'] as Run;
  const recording = record(run);

  it.each(Object.entries(rowMistakes))('differs from: %s', (_, measure) => {
    expect(
      mismatch({ ...run, formula: { ...rowWise, measure: measure as NonNullable<typeof measure> } }, recording),
    ).toBeDefined();
  });
});

describe.each([
  ['Adam { rowWise }', { rowWise: true }],
  ['Adam { rowSteps }', { rowSteps: true }],
  ['Adam { rowWise, rowSteps }', { rowWise: true, rowSteps: true }],
])('%s', (title, options) => {
  const run = runs[title] as Run;
  const recording = record(run);
  const right = adamOfRows(options);
  const changed = (change: (x: Cell<string>, h: Hyper) => void): Formula => ({
    ...right,
    update(x, h, t) {
      change(x, h);
      right.update(x, h, t);
    },
  });
  const wrong: Record<string, Formula> = {
    'the other way to count': adamOfRows({ ...options, rowSteps: !('rowSteps' in options) }),
    'the other second moment': adamOfRows({ ...options, rowWise: !('rowWise' in options) }),
    'no bias correction': { ...truth.adamUncorrected, stateNames: right.stateNames },
    'a count of the gradients other than 0': changed((x) => {
      if (x.g === 0) x['n'] = (x['n'] ?? 0) - 1;
    }),
    'a count that is one late': changed((x) => {
      x['n'] = Math.max(1, x['n'] ?? 1) - ((x['n'] ?? 0) > 1 ? 1 : 0);
    }),
  };
  const visible = Object.entries(wrong).filter(([what]) => 'rowSteps' in options || !what.startsWith('a count'));
  it.each(visible)('differs from: %s', (_, formula) => {
    expect(mismatch({ ...run, formula }, recording)).toBeDefined();
  });
});

it('rowWise keeps one accumulator per row, worked by hand', () => {
  // mean(3², 4²) = 12.5; w = -0.1·(3, 4)/√12.5. Then row 1 twice, (1, 1) + (0, 2): mean(1, 9) = 5; w = -0.1·(1, 3)/√5
  const data = new Float32Array(4);
  const adagrad = new Adagrad([{ data, shape: [2, 2] }], { lr: 0.1, rowWise: true });
  adagrad.step([{ rows: Int32Array.of(0), values: Float32Array.of(3, 4) }]);
  adagrad.step([{ rows: Int32Array.of(1, 1), values: Float32Array.of(1, 1, 0, 2) }]);
  const expected = [-0.3 / Math.sqrt(12.5), -0.4 / Math.sqrt(12.5), -0.1 / Math.sqrt(5), -0.3 / Math.sqrt(5)];
  for (const [i, e] of expected.entries()) expect(Math.abs((data[i] ?? Number.NaN) - e)).toBeLessThan(1e-7);
});
