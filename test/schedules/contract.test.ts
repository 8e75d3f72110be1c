import { describe, expect, test } from 'vitest';
import * as schedules from '../../lib/schedules/index.js';
import { thrown } from '../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const s = schedules as unknown as Record<string, (...args: any[]) => (step: number) => number>;

const one = () => 1;

/** A valid call of each function. The tests below make one argument of it invalid. */
const good: Record<string, unknown[]> = {
  constant: [1],
  cosine: [1, { steps: 10 }],
  cosineWarmRestarts: [1, { first: 10 }],
  cyclic: [{ base: 0.1, max: 1 }],
  cyclicMomentum: [{}],
  exponentialDecay: [1, { gamma: 0.9 }],
  inverseTimeDecay: [1, { rate: 0.1 }],
  linear: [1, {}],
  multiplicative: [1, one],
  multiply: [one, one],
  nesterovMomentum: [{}],
  oneCycle: [1, { totalSteps: 10 }],
  oneCycleMomentum: [{ totalSteps: 10 }],
  perEpoch: [one, 10],
  piecewiseConstant: [1, { boundaries: [5] }],
  polynomial: [1, {}],
  sequence: [[one, one], { boundaries: [5] }],
  stepDecay: [1, { every: 10 }],
  swaAnnealing: [1, { swaLr: 0.5 }],
  warmup: [one, { steps: 10 }],
  warmupStableDecay: [1, { warmup: 1, stable: 1, decay: 1 }],
};
const names = Object.keys(good);

/** Every numeric argument with its range, and whether it is an integer. */
const numbers: [name: string, argument: string, range: string, kind?: 'integer'][] = [
  ['constant', 'lr', '[0, inf)'],
  ['stepDecay', 'lr', '[0, inf)'],
  ['stepDecay', 'every', '[1, inf)', 'integer'],
  ['stepDecay', 'factor', '[0, inf)'],
  ['exponentialDecay', 'lr', '[0, inf)'],
  ['exponentialDecay', 'gamma', '[0, inf)'],
  ['inverseTimeDecay', 'lr', '[0, inf)'],
  ['inverseTimeDecay', 'rate', '[0, inf)'],
  ['piecewiseConstant', 'lr', '[0, inf)'],
  ['piecewiseConstant', 'factor', '[0, inf)'],
  ['linear', 'lr', '[0, inf)'],
  ['linear', 'from', '[0, inf)'],
  ['linear', 'to', '[0, inf)'],
  ['linear', 'steps', '[1, inf)', 'integer'],
  ['polynomial', 'lr', '[0, inf)'],
  ['polynomial', 'steps', '[1, inf)', 'integer'],
  ['polynomial', 'power', '[0, inf)'],
  ['cosine', 'lr', '[0, inf)'],
  ['cosine', 'steps', '[1, inf)', 'integer'],
  ['cosine', 'min', '[0, inf)'],
  ['cosineWarmRestarts', 'lr', '[0, inf)'],
  ['cosineWarmRestarts', 'first', '[1, inf)', 'integer'],
  ['cosineWarmRestarts', 'multiplier', '[1, inf)', 'integer'],
  ['cosineWarmRestarts', 'min', '[0, inf)'],
  ['multiplicative', 'lr', '[0, inf)'],
  ['swaAnnealing', 'lr', '[0, inf)'],
  ['swaAnnealing', 'swaLr', '[0, inf)'],
  ['swaAnnealing', 'annealSteps', '[0, inf)', 'integer'],
  ['cyclic', 'base', '[0, inf)'],
  ['cyclic', 'max', '[0, inf)'],
  ['cyclic', 'stepsUp', '[1, inf)', 'integer'],
  ['cyclic', 'stepsDown', '[1, inf)', 'integer'],
  ['cyclic', 'gamma', '(0, 1]'],
  ['cyclicMomentum', 'base', '[0, 1)'],
  ['cyclicMomentum', 'max', '[0, 1)'],
  ['cyclicMomentum', 'stepsUp', '[1, inf)', 'integer'],
  ['cyclicMomentum', 'stepsDown', '[1, inf)', 'integer'],
  ['cyclicMomentum', 'gamma', '(0, 1]'],
  ['oneCycle', 'max', '[0, inf)'],
  ['oneCycle', 'totalSteps', '[1, inf)', 'integer'],
  ['oneCycle', 'pctStart', '[0, 1]'],
  ['oneCycle', 'divFactor', '(0, inf)'],
  ['oneCycle', 'finalDivFactor', '(0, inf)'],
  ['oneCycleMomentum', 'totalSteps', '[1, inf)', 'integer'],
  ['oneCycleMomentum', 'pctStart', '[0, 1]'],
  ['oneCycleMomentum', 'base', '[0, 1)'],
  ['oneCycleMomentum', 'max', '[0, 1)'],
  ['perEpoch', 'stepsPerEpoch', '[1, inf)', 'integer'],
  ['warmup', 'steps', '[0, inf)', 'integer'],
  ['warmup', 'from', '[0, 1]'],
  ['warmupStableDecay', 'lr', '[0, inf)'],
  ['warmupStableDecay', 'warmup', '[0, inf)', 'integer'],
  ['warmupStableDecay', 'stable', '[0, inf)', 'integer'],
  ['warmupStableDecay', 'decay', '[1, inf)', 'integer'],
  ['warmupStableDecay', 'min', '[0, inf)'],
  ['nesterovMomentum', 'max', '[0, 1)'],
];
/** Positional arguments with their positions. The others are options. */
const positions: Record<string, Record<string, number>> = {
  oneCycle: { max: 0 },
  perEpoch: { schedule: 0, stepsPerEpoch: 1 },
  multiplicative: { factor: 1 },
  multiply: { a: 0, b: 1 },
  warmup: { schedule: 0 },
};

/** Calls `name` as in `good`, with one argument or option replaced. */
function call(name: string, argument: string, value: unknown): (step: number) => number {
  const args = [...(good[name] as unknown[])];
  const position = argument === 'lr' ? 0 : positions[name]?.[argument];
  if (position !== undefined) args[position] = value;
  else args[args.length - 1] = { ...(args.at(-1) as object), [argument]: value };
  return (s[name] as (typeof s)[string])(...args);
}

test('every export has a row in the table, and every valid call returns a function of the step', () => {
  expect(Object.keys(schedules).sort()).toEqual([...names].sort());
  for (const name of names) {
    const schedule = (s[name] as (typeof s)[string])(...(good[name] as unknown[]));
    expect(schedule(1), name).toBeTypeOf('number');
    expect(schedule(0), name).toBe(schedule(1));
    expect(schedule.name).toBe(name); // as an optimizer prints it
  }
});

describe.each(numbers)('%s: %s in %s', (name, argument, range, kind) => {
  const expected = kind === 'integer' ? `an integer in ${range}` : range;

  test('a wrong type is a TypeError', () => {
    for (const [value, shown] of [
      ['1', '"1"'],
      [null, 'null'],
      [true, 'true'],
      [1n, '1n'],
      [[1], '[1]'],
      [one, 'function one'],
    ] as const) {
      expect(thrown(() => call(name, argument, value))).toBe(
        `TypeError: ${name}: ${argument}: ${shown}, expected ${kind === 'integer' ? '' : 'a number in '}${expected}`,
      );
    }
  });

  test('a value that is not finite or out of range is a RangeError', () => {
    const [low, high] = range.slice(1, -1).split(', ').map(Number) as [number, number];
    const outside = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      low - 1,
      ...(range.startsWith('(') ? [low] : []),
    ];
    if (!Number.isNaN(high)) outside.push(high + 1, ...(range.endsWith(')') ? [high] : []));
    if (kind === 'integer') outside.push(low + 0.5);
    for (const value of outside)
      expect(thrown(() => call(name, argument, value))).toBe(
        `RangeError: ${name}: ${argument}: ${value}, expected ${expected}`,
      );
  });
});

describe('options', () => {
  const bags = names.filter((name) => !['constant', 'multiplicative', 'multiply', 'perEpoch'].includes(name));

  test.each(bags)('%s refuses an unknown option and options that are not an object', (name) => {
    expect(thrown(() => call(name, 'zzz', 1))).toMatch(
      new RegExp(`^TypeError: ${name}: zzz: unknown option, expected `),
    );
    const required = (good[name] as unknown[]).slice(0, -1);
    for (const bad of [null, 5, 'steps', [], true]) {
      expect(thrown(() => (s[name] as (typeof s)[string])(...required, bad))).toMatch(
        new RegExp(`^TypeError: ${name}: options: .*, expected an object with `),
      );
    }
  });

  test.each([
    ['stepDecay', 'every', 'an integer in [1, inf)'],
    ['inverseTimeDecay', 'rate', 'a number in [0, inf)'],
    ['exponentialDecay', 'rate', 'a number in [0, inf)'],
    ['piecewiseConstant', 'boundaries', 'an array'],
    ['cosine', 'steps', 'an integer in [1, inf)'],
    ['cosineWarmRestarts', 'first', 'an integer in [1, inf)'],
    ['cyclic', 'base', 'a number in [0, inf)'],
    ['oneCycle', 'totalSteps', 'an integer in [1, inf)'],
    ['oneCycleMomentum', 'totalSteps', 'an integer in [1, inf)'],
    ['swaAnnealing', 'swaLr', 'a number in [0, inf)'],
    ['warmup', 'steps', 'an integer in [0, inf)'],
    ['warmupStableDecay', 'warmup', 'an integer in [0, inf)'],
    ['sequence', 'boundaries', 'an array'],
  ])('%s needs %s', (name, argument, expected) => {
    const args = (good[name] as unknown[]).slice(0, -1);
    expect(thrown(() => (s[name] as (typeof s)[string])(...args, {}))).toBe(
      `TypeError: ${name}: ${argument}: undefined, expected ${expected}`,
    );
    expect(thrown(() => (s[name] as (typeof s)[string])(...args))).toMatch(
      new RegExp(`^TypeError: ${name}: options: undefined, expected `),
    );
  });

  test.each([
    ['cyclic', 'mode', '"sine"', '"triangular" or "triangular2" or "exp_range"'],
    ['cyclicMomentum', 'mode', '"sine"', '"triangular" or "triangular2" or "exp_range"'],
    ['swaAnnealing', 'anneal', '"sine"', '"cos" or "linear"'],
    ['oneCycle', 'anneal', '"sine"', '"cos" or "linear"'],
    ['oneCycleMomentum', 'anneal', '"sine"', '"cos" or "linear"'],
    ['warmupStableDecay', 'shape', '"toString"', '"linear" or "cosine" or "sqrt"'],
  ])('%s: %s is one of its names', (name, argument, given, expected) => {
    expect(thrown(() => call(name, argument, JSON.parse(given)))).toBe(
      `RangeError: ${name}: ${argument}: ${given}, expected ${expected}`,
    );
    expect(thrown(() => call(name, argument, 3))).toBe(`TypeError: ${name}: ${argument}: 3, expected ${expected}`);
  });

  test.each(['oneCycle', 'oneCycleMomentum'])('%s: threePhase is true or false', (name) => {
    expect(thrown(() => call(name, 'threePhase', 1))).toBe(`TypeError: ${name}: threePhase: 1, expected true or false`);
  });

  test.each([
    ['cyclic', 0.05, 0.1],
    ['cyclicMomentum', 0.5, 0.8],
    ['oneCycleMomentum', 0.5, 0.85],
  ])('%s: max is not below base', (name, max, base) => {
    expect(thrown(() => call(name, 'max', max))).toBe(
      `RangeError: ${name}: max: ${max}, expected at least base, ${base}`,
    );
    expect(call(name, 'max', base)(1)).toBe(base);
  });

  test('undefined means the default', () => {
    expect(s.cosine?.(1, { steps: 10, min: undefined })(11)).toBe(0);
    expect(s.linear?.(1, undefined)(6)).toBe(1);
    expect(s.exponentialDecay?.(1, { gamma: undefined, rate: 0 })(6)).toBe(1);
  });

  test('options are read once, at construction', () => {
    let reads = 0;
    const options = {
      get steps() {
        reads++;
        return 10;
      },
    };
    const schedule = schedules.cosine(1, options);
    schedule(1);
    schedule(2);
    expect(reads).toBe(1);
  });
});

describe('two spellings, of which exactly one must be given', () => {
  test('exponentialDecay: rate or gamma', () => {
    expect(thrown(() => s.exponentialDecay?.(1, { gamma: 0.9, rate: 0.1 }))).toBe(
      'TypeError: exponentialDecay: rate: 0.1, expected no rate beside gamma',
    );
    expect(thrown(() => s.exponentialDecay?.(1, { rate: -1 }))).toBe(
      'RangeError: exponentialDecay: rate: -1, expected [0, inf)',
    );
    expect(thrown(() => s.exponentialDecay?.(1, { rate: '1' }))).toBe(
      'TypeError: exponentialDecay: rate: "1", expected a number in [0, inf)',
    );
  });

  test('piecewiseConstant: factor or values', () => {
    const { piecewiseConstant } = s;
    const boundaries = [5, 10];
    expect(thrown(() => piecewiseConstant?.(1, { boundaries, values: [3, 2, 1], factor: 0.5 }))).toBe(
      'TypeError: piecewiseConstant: factor: 0.5, expected no factor beside values',
    );
    expect(thrown(() => piecewiseConstant?.({ boundaries, values: [2, 1] }))).toBe(
      'RangeError: piecewiseConstant: values: length 2, expected 3 (one more than boundaries)',
    );
    expect(thrown(() => piecewiseConstant?.({ boundaries, values: [3, Number.NaN, 1] }))).toBe(
      'RangeError: piecewiseConstant: values[1]: NaN, expected [0, inf)',
    );
    expect(thrown(() => piecewiseConstant?.({ boundaries, values: 3 }))).toBe(
      'TypeError: piecewiseConstant: values: 3, expected an array',
    );
    expect(thrown(() => piecewiseConstant?.({ boundaries: [10, 5], values: [3, 2, 1] }))).toBe(
      'RangeError: piecewiseConstant: boundaries[1]: 5, expected at least 10 (in ascending order)',
    );
    expect(thrown(() => piecewiseConstant?.(-1, { boundaries, values: [3, 2, 1] }))).toBe(
      'RangeError: piecewiseConstant: lr: -1, expected [0, inf)',
    );
    // Without `values` lr is required, because nothing else sets the height.
    expect(thrown(() => piecewiseConstant?.({ boundaries, factor: 0.5 }))).toBe(
      'TypeError: piecewiseConstant: lr: undefined, expected a number in [0, inf)',
    );
  });
});

describe('boundaries', () => {
  test.each(['piecewiseConstant', 'sequence'])('%s: integers in an array', (name) => {
    for (const value of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(thrown(() => call(name, 'boundaries', [value]))).toBe(
        `RangeError: ${name}: boundaries[0]: ${value}, expected an integer in [0, inf)`,
      );
    }
    expect(thrown(() => call(name, 'boundaries', ['5']))).toBe(
      `TypeError: ${name}: boundaries[0]: "5", expected an integer in [0, inf)`,
    );
    expect(thrown(() => call(name, 'boundaries', [,]))).toBe(
      `TypeError: ${name}: boundaries[0]: undefined, expected an integer in [0, inf)`,
    );
    expect(thrown(() => call(name, 'boundaries', 5))).toBe(`TypeError: ${name}: boundaries: 5, expected an array`);
  });

  test('sequence: one fewer than schedules, ascending', () => {
    expect(thrown(() => call('sequence', 'boundaries', []))).toBe(
      'RangeError: sequence: boundaries: length 0, expected 1 (one fewer than schedules)',
    );
    expect(thrown(() => s.sequence?.([one, one, one], { boundaries: [9, 8] }))).toBe(
      'RangeError: sequence: boundaries[1]: 8, expected at least 9 (in ascending order)',
    );
    expect(thrown(() => s.sequence?.([], { boundaries: [] }))).toBe(
      'RangeError: sequence: schedules: length 0, expected at least 1',
    );
    expect(thrown(() => s.sequence?.(one, { boundaries: [] }))).toBe(
      'TypeError: sequence: schedules: function one, expected an array',
    );
    expect(thrown(() => s.sequence?.([one, 5], { boundaries: [1] }))).toBe(
      'TypeError: sequence: schedules[1]: 5, expected a schedule, (step) => number',
    );
  });
});

test.each([
  ['multiply', 'a'],
  ['multiply', 'b'],
  ['warmup', 'schedule'],
  ['perEpoch', 'schedule'],
])('%s: %s is a function', (name, argument) => {
  for (const [value, shown] of [
    [0.1, '0.1'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'an object'],
  ] as const) {
    expect(thrown(() => call(name, argument, value))).toBe(
      `TypeError: ${name}: ${argument}: ${shown}, expected a schedule, (step) => number`,
    );
  }
});
