/** A golden run: the library, the reference (true, or wrong on purpose) and the error bound over the same gradients. */

import { describe, expect, it } from 'vitest';
import { gradient, type Kind, weights } from './data.js';
import { ErrorBound } from './error-bound.js';
import { type Formula, type Options, Reference, type Scalar } from './reference.js';

/** What golden runs use of the library's optimizers. */
export interface Stepper {
  step(grads: (Float32Array | null)[], options?: { gradScale?: number }): { applied: boolean; gradNorm?: number };
  readonly emaParams?: unknown;
  readonly averagedParams?: unknown;
  stateDict(): { state: Record<string, unknown> };
}

export type Create = (params: Float32Array[], options: Options) => Stepper;

export interface Run {
  /** The formula that the options select. */
  formula: Formula;
  options: Options;
  gradients?: Kind;
  /** All gradients times this. */
  magnitude?: number;
  gradScale?: Scalar;
  /** Where a param's gradient is null. */
  skips?: (step: number, param: number) => boolean;
  /** One optimizer over params of these lengths. */
  lengths?: readonly number[];
  /** Name -> a reference that is wrong on purpose; the library must be found to differ from it. */
  wrong?: Record<string, Wrong>;
}

/** What a wrong reference does differently: its formula, its options, or the order of the step. */
export interface Wrong {
  formula?: Formula;
  options?: Options;
  gradScale?: Scalar;
  reference?: typeof Reference;
}

const STEPS = 50;
const SHORT = [1, 7, 64];
export const LONG = [...SHORT, 1003];

/** A formula with another update. */
export function miswritten<State extends string>(
  formula: Formula<State>,
  update: Formula<State>['update'],
): { formula: Formula } {
  return { formula: { ...formula, update } };
}

// --- The comparison --------------------------------------------------------------------------------------------------

/** All that a step lets us see, by name. */
type Seen = Map<string, ArrayLike<number>>;

export interface Mismatch {
  where: string;
  actual: number;
  expected: number;
  tolerance: number;
}

/**
 * The comparison of all golden tests: the first element that is further from its expected value than the bound of its
 * own float32 error (error-bound.ts), which is 0 where the arithmetic is exact.
 */
export function compare(actual: Seen, expected: Seen, tolerance: Seen): Mismatch | undefined {
  for (const [where, values] of expected) {
    const actuals = actual.get(where) ?? [];
    const tolerances = tolerance.get(where) ?? [];
    for (let i = 0; i < values.length; i += 1) {
      const a = actuals[i] ?? Number.NaN;
      const e = values[i] ?? Number.NaN;
      const t = tolerances[i] ?? Number.NaN;
      if (!(Math.abs(a - e) <= t)) return { where: `${where}[${i}]`, actual: a, expected: e, tolerance: t };
    }
  }
  return undefined;
}

/** Letter and name of the state that a user sees. */
function arraysOf({ stateNames }: Formula): [letter: string, name: string][] {
  return Object.entries(stateNames).filter((entry): entry is [string, string] => entry[1] !== null);
}

/** The cells of a param that hold the numbers of a state array. */
function cellsOf<X>({ elements }: Formula, letter: string, cells: readonly X[]): readonly X[] {
  const of = elements?.[letter];
  return of === undefined ? cells : of(cells.length).map((i) => cells[i] as X);
}

// --- Recording -------------------------------------------------------------------------------------------------------

interface Step {
  grads: (Float32Array | null)[];
  gradScale: number;
  actual: Seen;
  /** The bound's own float64 values: the formulas written a second time. */
  centre: Seen;
  tolerance: Seen;
}

interface Recording {
  params: Float32Array[];
  steps: Step[];
  /** Of each param's elements: Σ|update|. */
  paths: number[][];
  /** Of each param, the elements whose sign was not certain in some step. */
  doubtful: readonly ReadonlySet<number>[];
}

function at(step: number, gradScale: Scalar | undefined): number {
  return typeof gradScale === 'function' ? gradScale(step) : (gradScale ?? 1);
}

function record(run: Run, create: Create): Recording {
  const params = (run.lengths ?? SHORT).map((length, p) => weights(length, 100 + p));
  const live = params.map((param) => param.slice());
  const optimizer = create(live, run.options);
  const bound = new ErrorBound(run.formula, run.options, params);
  const paths = params.map((param) => Array.from(param, () => 0));
  const started = params.map(() => false); // the average begins with a param's first update
  const steps: Step[] = [];

  for (let step = 1; step <= STEPS; step += 1) {
    const grads = params.map(({ length }, p) =>
      run.skips?.(step, p) ? null : gradient(length, step * 1009 + p, run.gradients ?? 'wild', run.magnitude ?? 1),
    );
    const gradScale = at(step, run.gradScale);
    const before = live.map((param) => param.slice());
    const result = optimizer.step(grads, gradScale === 1 ? {} : { gradScale });
    expect(result.applied).toBe(true);
    bound.step(grads, gradScale);

    const [actual, centre, tolerance]: [Seen, Seen, Seen] = [new Map(), new Map(), new Map()];
    const see = (where: string, values: ArrayLike<number>, p: number, letter: string): void => {
      const balls = cellsOf(run.formula, letter, bound.params[p] ?? []).map((x) => x[letter]);
      actual.set(where, Array.from(values));
      centre.set(
        where,
        balls.map((ball) => ball?.exact ?? Number.NaN),
      );
      tolerance.set(
        where,
        balls.map((ball) => ball?.radius ?? Number.NaN),
      );
    };
    if (run.options.clipNorm !== undefined) {
      actual.set(`step ${step}: gradNorm`, [result.gradNorm ?? Number.NaN]);
      centre.set(`step ${step}: gradNorm`, [bound.gradNorm]);
      tolerance.set(`step ${step}: gradNorm`, [bound.gradNormError]);
    }
    live.forEach((param, p) => {
      see(`step ${step}: w[${p}]`, param, p, 'w');
      paths[p] = (paths[p] ?? []).map((path, i) => path + Math.abs((param[i] ?? 0) - (before[p]?.[i] ?? 0)));
      started[p] ||= grads[p] !== null;
      if (run.formula.averaged !== undefined && started[p])
        see(
          `step ${step}: averaged[${p}]`,
          (optimizer.averagedParams as Float32Array[])[p] ?? [],
          p,
          run.formula.averaged,
        );
      if (run.options.ema === undefined || !started[p]) return;
      see(`step ${step}: ema[${p}]`, (optimizer.emaParams as Float32Array[])[p] ?? [], p, 'ema');
    });
    if (step === STEPS) {
      const state = optimizer.stateDict().state as Record<string, Record<string, ArrayLike<number>>>;
      for (const [letter, name] of arraysOf(run.formula)) {
        for (const p of live.keys()) see(`state[${p}].${name}`, state[p]?.[name] ?? [], p, letter);
      }
    }
    steps.push({ grads, gradScale, actual, centre, tolerance });
  }
  return { params, steps, paths, doubtful: bound.doubtful };
}

/** The first difference of a recording from a reference; undefined when they agree at every step. */
function mismatch(
  run: Run,
  { params, steps }: Recording,
  wrong: Wrong | undefined,
  see: (step: Step) => [actual: Seen, tolerance: Seen],
): Mismatch | undefined {
  const options = { ...run.options, ...wrong?.options };
  const reference = new (wrong?.reference ?? Reference)(wrong?.formula ?? run.formula, options, params);
  for (const [k, recorded] of steps.entries()) {
    const step = k + 1;
    reference.step(recorded.grads, wrong?.gradScale === undefined ? recorded.gradScale : at(step, wrong.gradScale));
    const [actual, tolerance] = see(recorded);
    const expected: Seen = new Map();
    const expects = (where: string, p: number, letter: string): void => {
      if (!tolerance.has(where)) return;
      expected.set(
        where,
        cellsOf(run.formula, letter, reference.params[p] ?? []).map((x) => x[letter] ?? Number.NaN),
      );
    };
    if (run.options.clipNorm !== undefined) expected.set(`step ${step}: gradNorm`, [reference.gradNorm]);
    reference.params.forEach((_, p) => {
      expects(`step ${step}: w[${p}]`, p, 'w');
      expects(`step ${step}: ema[${p}]`, p, 'ema');
      if (run.formula.averaged !== undefined) expects(`step ${step}: averaged[${p}]`, p, run.formula.averaged);
      // A wrong reference must show in what a user sees, the weights; the true one holds for the state too
      if (wrong !== undefined) return;
      for (const [letter, name] of arraysOf(run.formula)) expects(`state[${p}].${name}`, p, letter);
    });
    const found = compare(actual, expected, tolerance);
    if (found) return found;
  }
  return undefined;
}

// --- Tests -----------------------------------------------------------------------------------------------------------

/** The library agrees with the formula of every run, and with none of its wrong ones. */
export function golden(name: string, create: Create, runs: Record<string, Run>): void {
  describe(name, () => {
    for (const [title, run] of Object.entries(runs)) {
      describe(title, () => {
        let recording: Recording | undefined;
        const recorded = (): Recording => {
          recording ??= record(run, create);
          return recording;
        };
        const library = ({ actual, tolerance }: Step): [Seen, Seen] => [actual, tolerance];

        it('agrees with float64', () => {
          expect(mismatch(run, recorded(), undefined, library)).toBeUndefined();
        });

        it('has a bound of the same formula', () => {
          const centre = ({ centre, tolerance }: Step): [Seen, Seen] => [
            centre,
            new Map(
              Array.from(tolerance, ([where, radii]) => [where, Array.from(radii, (radius) => radius * 2 ** -16)]),
            ),
          ];
          expect(mismatch(run, recorded(), undefined, centre)).toBeUndefined();
        });

        it('has a bound that is worth something: 16 roundings a step, of |w| and of its path', () => {
          const { params, steps, paths, doubtful } = recorded();
          const [doubts, elements] = [doubtful, params].map((lists) =>
            lists.reduce((sum, list) => sum + ('size' in list ? list.size : list.length), 0),
          ) as [number, number];
          expect(doubts).toBeLessThanOrEqual(elements / 20);
          params.forEach((_, p) => {
            const where = `step ${STEPS}: w[${p}]`;
            const last = steps.at(-1);
            const ends = last?.actual.get(where) ?? [];
            Array.from(last?.tolerance.get(where) ?? []).forEach((radius, i) => {
              if (doubtful[p]?.has(i)) return;
              const size = Math.abs(ends[i] ?? Number.NaN) + (paths[p]?.[i] ?? Number.NaN);
              if (!(radius <= 16 * 2 ** -24 * STEPS * size)) expect.fail(`${where}[${i}]: ${radius}, size ${size}`);
            });
          });
        });

        for (const [what, wrong] of Object.entries(run.wrong ?? {})) {
          it(`differs from: ${what}`, () => {
            expect(mismatch(run, recorded(), wrong, library)).toBeDefined();
          });
        }
      });
    }
  });
}
