/**
 * Golden tests of classes whose params move together, through numbers that are sums over all of them. An error of such a
 * number enters every later sum, so no bound over a whole run is worth anything. Here each step is checked by itself: it
 * starts from what the library holds, in float32 and float64, and float64 says where it must end.
 */
import { expect, it } from 'vitest';
import { gradient, type Kind, weights } from './data.js';
import type { Options, Scalar } from './reference.js';

const U = 2 ** -24;

/** One param before or after a step. */
export interface Tensor {
  w: number[];
  /** After gradScale and maximize; null: no gradient. */
  g: number[] | null;
  state: Record<string, number[]>;
  /** Its numbers. */
  own: Record<string, number>;
  /** The updates taken before the step. */
  updates: number;
  h: Record<string, number>;
  /** How much further than by its own rounding an element may be off, where the step knows. */
  errors?: Record<string, number[]>;
}

/** All of an optimizer. */
export interface Whole {
  params: Tensor[];
  numbers: Record<string, number>;
  /** The step, from 1 on. */
  step: number;
  loss: number;
}

/**
 * A step in float64. Changes the params and numbers. Returns how far the numbers may be off in float32, by their names.
 */
export type StepOf = (all: Whole) => Record<string, number>;

export interface OneStep {
  create(params: Float32Array[], options: Options): Live;
  step: StepOf;
  /** Hyper-parameters in float64 by name; a list gives one for each param. */
  h: Record<string, Scalar | readonly Scalar[] | undefined>;
  options: Options;
  lengths?: readonly number[];
  gradients?: Kind;
  gradScale?: number;
  steps?: number;
  skips?: (step: number, param: number) => boolean;
  /** The gradient, if it is not a random one. */
  gradientOf?: (w: Float32Array, step: number, p: number) => Float32Array;
  loss?: (step: number) => number;
  wrong: Record<string, StepOf>;
}

interface Live {
  step(grads: (Float32Array | null)[], options?: object): { applied: boolean };
  stateDict(): { state: Record<string, unknown> };
}

/** What the library holds. */
function look({ h }: OneStep, live: Live, params: readonly Float32Array[], step: number, loss: number): Whole {
  const { state } = live.stateDict() as { state: Record<string, Record<string, number | Float32Array>> };
  const numbers: Record<string, number> = {};
  const tensors = params.map((param, p): Tensor => {
    const own = state[p] ?? {};
    const arrays: Record<string, number[]> = {};
    for (const [name, value] of Object.entries(own)) {
      if (typeof value !== 'number') arrays[name] = Array.from(value);
      else if (name !== 'step') numbers[name] ??= value; // of the first param
    }
    const scalars = Object.entries(own).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    const at = (value: Scalar | undefined): number =>
      typeof value === 'function' ? value(step) : (value ?? Number.NaN);
    const values = Object.entries(h).map(([name, value]) => [name, at(Array.isArray(value) ? value[p] : value)]);
    return {
      w: Array.from(param),
      g: null,
      state: arrays,
      own: Object.fromEntries(scalars),
      updates: own['step'] as number,
      h: Object.fromEntries(values),
    };
  });
  return { params: tensors, numbers, step, loss };
}

interface Taken {
  before: Whole;
  after: Whole;
}

function record(run: OneStep): Taken[] {
  const params = (run.lengths ?? [1, 7, 64]).map((length, p) => weights(length, 100 + p));
  const live = run.create(params, run.options);
  return Array.from({ length: run.steps ?? 40 }, (_, k): Taken => {
    const step = k + 1;
    const loss = run.loss?.(step) ?? Number.NaN;
    const before = look(run, live, params, step, loss);
    const grads = params.map((param, p) => {
      if (run.skips?.(step, p)) return null;
      return (
        run.gradientOf?.(param.slice(), step, p) ?? gradient(param.length, step * 1009 + p, run.gradients ?? 'plain', 1)
      );
    });
    const scale = run.gradScale ?? 1;
    for (const [p, grad] of grads.entries())
      before.params[p]!.g = grad === null ? null : Array.from(grad, (g) => g * scale * (run.options.maximize ? -1 : 1));
    const { applied } = live.step(grads, {
      gradScale: scale,
      ...(run.loss === undefined ? {} : { loss }),
    });
    expect(applied).toBe(true);
    return { before, after: look(run, live, params, step, loss) };
  });
}

/** The first value of a step that is further from float64 than its float32 errors explain. */
function mismatch({ before, after }: Taken, step: StepOf): string | undefined {
  const expected = structuredClone(before);
  const errors = step(expected);
  let relative = 0;
  for (const [name, error] of Object.entries(errors)) {
    const [value, actual] = [expected.numbers[name] ?? Number.NaN, after.numbers[name] ?? Number.NaN];
    if (!(Math.abs(actual - value) <= error))
      return `step ${before.step}: ${name}: ${actual}, expected ${value} ± ${error}`;
    if (value !== 0) relative = Math.max(relative, error / Math.abs(value));
  }
  for (const [p, param] of expected.params.entries()) {
    const [was, is] = [before.params[p]!, after.params[p]!];
    for (const name of ['w', ...Object.keys(param.state)]) {
      const of = (tensor: Tensor): number[] => (name === 'w' ? tensor.w : (tensor.state[name] ?? []));
      for (const [i, value] of of(param).entries()) {
        const [old, actual] = [of(was)[i] ?? 0, of(is)[i] ?? Number.NaN];
        const size = Math.abs(old) + Math.abs(value);
        const error =
          value === old
            ? 0
            : 16 * U * size + (param.errors?.[name]?.[i] ?? relative * Math.abs(value - old)) + 2 ** -140;
        if (!(Math.abs(actual - value) <= error))
          return `step ${before.step}: ${name}[${p}][${i}]: ${actual}, expected ${value} ± ${error}`;
      }
    }
  }
  return undefined;
}

/** Tests that every step of a run is that of the formula, and that some step differs from each of the wrong ones. */
export function oneStep(name: string, run: OneStep): void {
  let taken: Taken[] | undefined;
  const recorded = (): Taken[] => {
    taken ??= record(run);
    return taken;
  };
  it(`${name}: each step agrees with float64`, () => {
    expect(
      recorded()
        .map((step) => mismatch(step, run.step))
        .filter((found) => found !== undefined),
    ).toEqual([]);
  });
  for (const [what, wrong] of Object.entries(run.wrong))
    it(`${name}: differs from: ${what}`, () => {
      expect(recorded().some((step) => mismatch(step, wrong) !== undefined)).toBe(true);
    });
}
