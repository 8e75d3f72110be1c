// Every error path: what is thrown, in the library's one shape, and that nothing has changed by then.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../lib/engine/backend.js';
import { referenceEngine } from '../../lib/engine/reference.js';
import * as library from '../../lib/index.js';
import { Adam, SGD } from '../../lib/optimizers/index.js';
import * as training from '../../lib/training/index.js';

// What TypeScript would refuse is half of what is tested here.
// biome-ignore lint/suspicious/noExplicitAny: see above
const { clipGradNorm, clipGradValue, GradAccumulator, groupBy, lrRangeTest, ReduceOnPlateau } = training as any;

const f32 = (...values: number[]) => Float32Array.from(values);
const schedule = () => 0.1;

function thrown(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return String(error);
  }
  return 'nothing was thrown';
}

function detached(length = 2): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

/** What is no number at all, and how errors show it. */
const notNumbers = [
  [undefined, 'undefined'],
  [null, 'null'],
  ['1', '"1"'],
  [true, 'true'],
  [1n, '1n'],
  [[1], '[1]'],
  [schedule, 'function schedule'],
] as const;

const detachedText = 'a detached Float32Array';
const gone = ' (its buffer was transferred, resized or grown)';
const sparse = { rows: new Int32Array([0]), values: f32(1) };

describe('clipGradNorm and clipGradValue', () => {
  const both = [
    ['clipGradNorm', (grads: unknown, bound: unknown) => clipGradNorm(grads, bound), 'max'],
    ['clipGradValue', (grads: unknown, bound: unknown) => clipGradValue(grads, bound), 'value'],
  ] as const;

  test.each(both)('%s: its bound is a positive number', (name, clip, argument) => {
    const grad = f32(3, 4);
    for (const [value, shown] of notNumbers) {
      expect(thrown(() => clip(grad, value))).toBe(
        `TypeError: ${name}: ${argument}: ${shown}, expected a number in (0, inf)`,
      );
    }
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(thrown(() => clip(grad, value))).toBe(`RangeError: ${name}: ${argument}: ${value}, expected (0, inf)`);
    }
    expect([...grad]).toEqual([3, 4]);
  });

  test.each(both)(
    '%s: gradients are dense float32 arrays or null, and none is touched before all are checked',
    (name, clip) => {
      const one = 'a Float32Array or null';
      const hint = ' (convert it with Float32Array.from(…))';
      for (const [bad, shown] of [
        [undefined, 'undefined, expected '],
        [5, '5, expected '],
        [new Float64Array(2), 'Float64Array(2), expected '],
        [new Int32Array(2), 'Int32Array(2), expected '],
        [[1, 2], '[1, 2], expected '],
        [{ data: f32(1), shape: [1, 1] }, 'an object, expected '],
        [detached(), `${detachedText}, expected `],
        [sparse, 'a sparse gradient, expected '],
        [{ ...sparse, rows: new Uint32Array([0]) }, 'a sparse gradient, expected '],
      ] as const) {
        const after =
          bad instanceof Float64Array || Array.isArray(bad)
            ? hint
            : bad instanceof Float32Array
              ? gone
              : shown.startsWith('a sparse')
                ? ' (an optimizer takes them, and its option clipNorm)'
                : '';
        const grad = f32(3, 4);
        expect(thrown(() => clip([grad, bad], 1))).toBe(`TypeError: ${name}: grads[1]: ${shown}${one}${after}`);
        expect(thrown(() => clip({ w: grad, 'fc.b': bad }, 1))).toBe(
          `TypeError: ${name}: grads["fc.b"]: ${shown}${one}${after}`,
        );
        expect([...grad]).toEqual([3, 4]);
      }
      expect(thrown(() => clip([, f32(1)], 1))).toBe(`TypeError: ${name}: grads[0]: undefined, expected ${one}`);
    },
  );

  test.each(both)('%s: as a whole, one gradient, null, a list or a record', (name, clip) => {
    const all = 'a Float32Array, null, or a list or a record of them';
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [5, '5'],
      ['w', '"w"'],
      [new Float64Array(2), 'Float64Array(2)'],
      [new Map([['w', f32(1)]]), 'a Map'],
      [Promise.resolve(f32(1)), 'a Promise'],
      [() => f32(1), 'a function'],
      [sparse, 'a sparse gradient'],
      [detached(), detachedText],
    ] as const) {
      expect(thrown(() => clip(bad, 1))).toMatch(`TypeError: ${name}: grads: ${shown}, expected ${all}`);
    }
    for (const nothing of [null, [], {}, [null], { w: null }, new Float32Array(0)]) {
      expect(clip(nothing, 1)).toBe(name === 'clipGradNorm' ? 0 : undefined);
    }
  });

  test('clipGradNorm: p is positive, or Infinity', () => {
    const grad = f32(3, 4);
    for (const [value, shown] of notNumbers.slice(1)) {
      expect(thrown(() => clipGradNorm(grad, 1, { p: value }))).toBe(
        `TypeError: clipGradNorm: p: ${shown}, expected a number in (0, inf]`,
      );
    }
    for (const value of [0, -1, Number.NaN, Number.NEGATIVE_INFINITY]) {
      expect(thrown(() => clipGradNorm(grad, 1, { p: value }))).toBe(
        `RangeError: clipGradNorm: p: ${value}, expected (0, inf]`,
      );
    }
    expect(thrown(() => clipGradNorm(grad, 1, { P: 2 }))).toBe(
      'TypeError: clipGradNorm: P: unknown option, expected p (it has p)',
    );
    expect(thrown(() => clipGradNorm(grad, 1, { order: 2 }))).toMatch(
      /^TypeError: clipGradNorm: order: unknown option, expected /,
    );
    for (const bad of [null, 2, 'p', [2]]) {
      expect(thrown(() => clipGradNorm(grad, 1, bad))).toMatch(
        /^TypeError: clipGradNorm: options: .*, expected an object with p$/,
      );
    }
    expect([...grad]).toEqual([3, 4]);
    expect(clipGradNorm(grad, 10, { p: undefined })).toBe(5);
  });

  test('where the factor is 1 no bit changes, not even of a subnormal or of −0', () => {
    const grad = new Float32Array(new Uint32Array([1, 0x80000000, 0x3f000000]).buffer);
    for (const p of [2, 1, Number.POSITIVE_INFINITY]) expect(clipGradNorm(grad, 1, { p })).toBeCloseTo(0.5, 10);
    expect([...new Uint32Array(grad.buffer)]).toEqual([1, 0x80000000, 0x3f000000]);
  });
});

describe('GradAccumulator', () => {
  test('params as an optimizer takes them', () => {
    for (const [bad, message] of [
      [
        undefined,
        'TypeError: GradAccumulator: params: undefined, expected a Float32Array, { data, shape }, a list or a record of them',
      ],
      [
        [],
        'RangeError: GradAccumulator: params: nothing, expected a Float32Array, { data, shape }, a list or a record of them',
      ],
      [
        { w: [1, 2] },
        'TypeError: GradAccumulator: params["w"]: [1, 2], expected a Float32Array or { data, shape } (convert it with Float32Array.from(…))',
      ],
      [
        [{ params: f32(1) }, { params: { w: f32(1) } }],
        'TypeError: GradAccumulator: params[0].params: a param without a name, expected a name for each param or for none',
      ],
      [
        [{ params: { w: f32(1) } }, { params: { w: f32(1) } }],
        'RangeError: GradAccumulator: params[1].params["w"]: a name used before, expected names that are unique over the optimizer',
      ],
      [
        detached(),
        `TypeError: GradAccumulator: params: ${detachedText}, expected a Float32Array or { data, shape }${gone}`,
      ],
    ] as const) {
      expect(thrown(() => new GradAccumulator(bad))).toBe(message);
    }
  });

  test('add refuses what does not fit, and has added nothing then', () => {
    const sum = new GradAccumulator({ w: f32(1, 2), 'fc.bias': f32(3) });
    sum.add({ w: f32(1, 1), 'fc.bias': null });
    const good = f32(5, 5);
    for (const [bad, message] of [
      [undefined, 'TypeError: GradAccumulator: grads: undefined, expected a record of gradients by name'],
      [
        [good, f32(1)],
        'TypeError: GradAccumulator: grads: [Float32Array(2), Float32Array(1)], expected a record of gradients by name',
      ],
      [
        { w: good },
        'TypeError: GradAccumulator: grads["fc.bias"]: undefined, expected a Float32Array, or null to leave the param as it is',
      ],
      [
        { w: good, 'fc.bias': f32(1), b: f32(1) },
        'TypeError: GradAccumulator: grads["b"]: no such param, expected one of "w", "fc.bias"',
      ],
      [
        { w: good, 'fc.bias': f32(1, 2) },
        'RangeError: GradAccumulator: grads["fc.bias"]: length 2, expected 1 ("fc.bias")',
      ],
      [
        { w: good, 'fc.bias': new Float64Array(1) },
        'TypeError: GradAccumulator: grads["fc.bias"]: Float64Array(1), expected a Float32Array or null (convert it with Float32Array.from(…))',
      ],
      [
        { w: good, 'fc.bias': detached(1) },
        `TypeError: GradAccumulator: grads["fc.bias"]: ${detachedText}, expected a Float32Array or null${gone}`,
      ],
      [
        { w: good, 'fc.bias': sparse },
        'TypeError: GradAccumulator: grads["fc.bias"]: a sparse gradient, expected a Float32Array or null (an optimizer takes them, and its option clipNorm)',
      ],
    ] as const) {
      expect(thrown(() => sum.add(bad))).toBe(message);
      expect([sum.count, [...sum.grads.w], sum.grads['fc.bias']]).toEqual([1, [1, 1], null]);
    }
  });

  test('lists and single gradients', () => {
    const list = new GradAccumulator([f32(1), f32(1, 2)]);
    expect(thrown(() => list.add([f32(1)]))).toBe('RangeError: GradAccumulator: grads: 1 gradient(s), expected 2');
    expect(thrown(() => list.add(f32(1)))).toBe(
      'TypeError: GradAccumulator: grads: Float32Array(1), expected a list of 2 gradients',
    );
    expect(thrown(() => list.add([f32(1), f32(1)]))).toBe(
      'RangeError: GradAccumulator: grads[1]: length 1, expected 2',
    );
    const single = new GradAccumulator(f32(1, 2));
    expect(thrown(() => single.add(f32(1)))).toBe('RangeError: GradAccumulator: grads: length 1, expected 2');
    expect(thrown(() => single.add({ w: f32(1) }))).toBe(
      'TypeError: GradAccumulator: grads: an object, expected a Float32Array or null',
    );
    expect([list.count, list.grads, single.count, single.grads]).toEqual([0, [null, null], 0, null]);
  });

  test('a sum whose memory the caller gave away is an error', () => {
    // The addon's memory can't be given away.
    const sum = withEngine(referenceEngine, () => new GradAccumulator([f32(1), f32(1, 2)]));
    sum.add([f32(1), f32(1, 1)]);
    const { buffer } = sum.grads[1];
    structuredClone(buffer, { transfer: [buffer] });
    expect(thrown(() => sum.add([f32(1), f32(1, 1)]))).toBe(
      `TypeError: GradAccumulator: the sum of grads[1]: ${detachedText}, expected length 2${gone}`,
    );
    expect([sum.count, [...sum.grads[0]]]).toEqual([1, [1]]);
  });
});

describe('groupBy', () => {
  test('params are a record', () => {
    const record = 'a record of params by name';
    for (const [bad, shown] of [
      [f32(1), 'Float32Array(1)'],
      [[f32(1)], '[Float32Array(1)]'],
      [{ data: f32(1), shape: [1, 1] }, 'an object'],
      [[{ params: { w: f32(1) } }], '[an object]'],
      [{ params: { w: f32(1) } }, 'an object'],
    ] as const) {
      expect(thrown(() => groupBy(bad, schedule))).toBe(`TypeError: groupBy: params: ${shown}, expected ${record}`);
    }
    expect(thrown(() => groupBy({ w: 1 }, schedule))).toBe(
      'TypeError: groupBy: params["w"]: 1, expected a Float32Array or { data, shape }',
    );
    expect(thrown(() => groupBy({}, schedule))).toMatch(/^RangeError: groupBy: params: nothing, expected /);
    expect(thrown(() => groupBy(undefined, schedule))).toMatch(/^TypeError: groupBy: params: undefined, expected /);
  });

  test('options is a function to an object or undefined', () => {
    const params = { 'fc.bias': f32(1) };
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [{ weightDecay: 0 }, 'an object'],
    ] as const) {
      expect(thrown(() => groupBy(params, bad))).toBe(
        `TypeError: groupBy: options: ${shown}, expected a function, (name) => options`,
      );
    }
    for (const [bad, shown] of [
      [null, 'null'],
      [0, '0'],
      [false, 'false'],
      [[], '[]'],
      [Promise.resolve({ lr: 1 }), 'a Promise'],
      [new Map(), 'a Map'],
    ] as const) {
      expect(thrown(() => groupBy(params, () => bad))).toBe(
        `TypeError: groupBy: options("fc.bias"): ${shown}, expected an object of options, or undefined`,
      );
    }
    expect(thrown(() => groupBy(params, () => ({ params: 1 })))).toBe(
      'TypeError: groupBy: options("fc.bias").params: 1, expected options alone',
    );
    const fault = new Error('mine');
    expect(() =>
      groupBy(params, () => {
        throw fault;
      }),
    ).toThrow(fault);
  });

  test('the options themselves are checked by the optimizer', () => {
    expect(thrown(() => new Adam(groupBy({ w: f32(1) }, () => ({ weightDeca: 0 }))))).toBe(
      'TypeError: Adam: weightDeca: unknown option, expected weightDecay (it has lr, betas, eps, amsgrad, biasCorrection, weightDecay, maximize, clipValue)',
    );
  });

  test('the function sees the name and the param', () => {
    const params = { w: f32(1), b: { data: f32(1, 2), shape: [2, 1] } };
    const seen: unknown[] = [];
    groupBy(params, (...args: unknown[]) => void seen.push(args));
    expect(seen).toEqual([
      ['w', params.w],
      ['b', params.b],
    ]);
  });
});

describe('ReduceOnPlateau', () => {
  const optimizer = () => ({ paramGroups: [{ lr: 1 }, { lr: 0.5 }] });

  test('the optimizer has groups with a numeric lr', () => {
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [0.1, '0.1'],
      [{}, 'an object'],
      [f32(1), 'Float32Array(1)'],
    ] as const) {
      expect(thrown(() => new ReduceOnPlateau(bad))).toBe(
        `TypeError: ReduceOnPlateau: optimizer: ${shown}, expected an optimizer`,
      );
    }
    const scheduled = new SGD([
      { params: f32(1), lr: 1 },
      { params: f32(1), lr: schedule },
    ]);
    expect(thrown(() => new ReduceOnPlateau(scheduled))).toBe(
      'TypeError: ReduceOnPlateau: optimizer.paramGroups[1].lr: function schedule, expected a number (a Schedule sets lr by itself)',
    );
    const disposed = new SGD(f32(1), { lr: 1 });
    disposed.dispose();
    expect(thrown(() => new ReduceOnPlateau(disposed))).toBe(
      'TypeError: SGD: this: a disposed optimizer, expected one in use',
    );
  });

  const numbers = [
    ['factor', '[0, 1)', [-0.1, 1, Number.NaN]],
    ['patience', 'an integer in [0, inf)', [-1, 1.5, Number.POSITIVE_INFINITY]],
    ['threshold', '[0, inf)', [-1, Number.NaN, Number.POSITIVE_INFINITY]],
    ['cooldown', 'an integer in [0, inf)', [-1, 0.5, Number.NaN]],
    ['min', '[0, inf)', [-1, Number.NaN]],
    ['eps', '[0, inf)', [-1e-9, Number.POSITIVE_INFINITY]],
  ] as const;

  test.each(numbers)('%s in %s', (name, range, outside) => {
    const number = range.startsWith('an integer') ? range : `a number in ${range}`;
    for (const [value, shown] of notNumbers.slice(1)) {
      if (name === 'min' && Array.isArray(value)) continue;
      expect(thrown(() => new ReduceOnPlateau(optimizer(), { [name]: value }))).toBe(
        `TypeError: ReduceOnPlateau: ${name}: ${shown}, expected ${number}`,
      );
    }
    for (const value of outside) {
      expect(thrown(() => new ReduceOnPlateau(optimizer(), { [name]: value }))).toBe(
        `RangeError: ReduceOnPlateau: ${name}: ${value}, expected ${range}`,
      );
    }
  });

  test('its names and lists', () => {
    const make = (options: unknown) => thrown(() => new ReduceOnPlateau(optimizer(), options));
    expect(make({ mode: 'low' })).toBe('RangeError: ReduceOnPlateau: mode: "low", expected "min" or "max"');
    expect(make({ mode: 1 })).toBe('TypeError: ReduceOnPlateau: mode: 1, expected "min" or "max"');
    expect(make({ thresholdMode: 'relative' })).toBe(
      'RangeError: ReduceOnPlateau: thresholdMode: "relative", expected "rel" or "abs"',
    );
    expect(make({ min: [0.1] })).toBe('RangeError: ReduceOnPlateau: min: length 1, expected 2, one for each group');
    expect(make({ min: [0.1, -1] })).toBe('RangeError: ReduceOnPlateau: min[1]: -1, expected [0, inf)');
    expect(make({ min: [0.1, '1'] })).toBe('TypeError: ReduceOnPlateau: min[1]: "1", expected a number in [0, inf)');
    expect(make({ patiense: 3 })).toBe(
      'TypeError: ReduceOnPlateau: patiense: unknown option, expected patience (it has mode, factor, patience, threshold, thresholdMode, cooldown, min, eps)',
    );
    expect(make(null)).toMatch(/^TypeError: ReduceOnPlateau: options: null, expected an object with mode, /);
    expect(make({ mode: undefined, factor: undefined, min: undefined })).toBe('nothing was thrown');
  });

  test('a refused update changes nothing', () => {
    const it = optimizer();
    const plateau = new ReduceOnPlateau(it, { patience: 0, min: [0, 0] });
    plateau.update(1);
    const state = plateau.stateDict();
    for (const [value, shown] of notNumbers) {
      expect(thrown(() => plateau.update(value))).toBe(
        `TypeError: ReduceOnPlateau: metric: ${shown}, expected a number`,
      );
    }
    const groups = it.paramGroups as { lr: unknown }[];
    (groups[1] as { lr: unknown }).lr = schedule;
    expect(thrown(() => plateau.update(2))).toBe(
      'TypeError: ReduceOnPlateau: optimizer.paramGroups[1].lr: function schedule, expected a number (a Schedule sets lr by itself)',
    );
    (groups[1] as { lr: unknown }).lr = 0.5;
    groups.push({ lr: 0.5 });
    expect(thrown(() => plateau.update(2))).toBe(
      'RangeError: ReduceOnPlateau: min: length 2, expected 3, one for each group',
    );
    groups.pop();
    expect(plateau.stateDict()).toEqual(state);
    expect(it).toEqual(optimizer());
    expect(plateau.update(2)).toBe(true);
  });

  test('groups that are added later share a single min', () => {
    const it = optimizer();
    const plateau = new ReduceOnPlateau(it, { patience: 0, min: 0.2 });
    it.paramGroups.push({ lr: 0.1 });
    for (const metric of [1, 1]) plateau.update(metric);
    expect(it.paramGroups.map(({ lr }) => lr)).toEqual([0.2, 0.2, 0.1]);
  });

  test('loadStateDict is all or nothing', () => {
    const plateau = new ReduceOnPlateau(optimizer(), { patience: 1, min: [0, 0.1] });
    plateau.update(3);
    plateau.update(4);
    const state = plateau.stateDict();
    expect(state).toEqual({
      mode: 'min',
      factor: 0.1,
      patience: 1,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      min: [0, 0.1],
      eps: 1e-8,
      best: 3,
      numBadEpochs: 1,
      cooldownCounter: 0,
    });
    const who = 'ReduceOnPlateau.loadStateDict';
    for (const [change, message] of [
      [{ best: '3' }, `TypeError: ${who}: best: "3", expected a number or null`],
      [{ best: undefined }, `TypeError: ${who}: best: undefined, expected a number or null`],
      [{ best: Number.NaN }, `RangeError: ${who}: best: NaN, expected a number or null`],
      [{ numBadEpochs: -1 }, `RangeError: ${who}: numBadEpochs: -1, expected an integer in [0, inf)`],
      [
        { cooldownCounter: undefined },
        `TypeError: ${who}: cooldownCounter: undefined, expected an integer in [0, inf)`,
      ],
      [{ patience: undefined }, `TypeError: ${who}: patience: undefined, expected what stateDict gives`],
      [{ factor: 1 }, `RangeError: ${who}: factor: 1, expected [0, 1)`],
      [{ min: [0] }, `RangeError: ${who}: min: length 1, expected 2, one for each group`],
      [
        { bset: 1 },
        `TypeError: ${who}: bset: unknown option, expected best (it has mode, factor, patience, threshold, thresholdMode, cooldown, min, eps, best, numBadEpochs, cooldownCounter)`,
      ],
    ] as const) {
      expect(thrown(() => plateau.loadStateDict({ ...state, mode: 'max', ...change }))).toBe(message);
      expect(plateau.stateDict()).toEqual(state);
    }
    expect(thrown(() => plateau.loadStateDict(null))).toMatch(
      `TypeError: ${who}: options: null, expected an object with mode, `,
    );
    // A copy in both directions.
    const min = [0, 0];
    plateau.loadStateDict({ ...state, min });
    min[0] = 9;
    plateau.stateDict().min[0] = 9;
    expect(plateau.stateDict().min).toEqual([0, 0]);
  });
});

describe('lrRangeTest', () => {
  const setup = () => {
    const w = f32(1, -2);
    const adam = new Adam({ w }, { lr: schedule });
    adam.step({ w: f32(0.5, Number.NaN) });
    const look = () => [[...new Uint32Array(w.buffer)], adam.stateDict(), adam.paramGroups[0]?.lr];
    const train = () => {
      adam.step({ w: f32(1, 1) });
      return 1;
    };
    return { w, adam, look, train };
  };

  test('arguments', () => {
    const { adam, look, train } = setup();
    const before = look();
    const run = (options: unknown) => thrown(() => lrRangeTest(adam, train, options));
    for (const [bad, shown] of [
      [undefined, 'undefined'],
      [{}, 'an object'],
      [f32(1), 'Float32Array(1)'],
    ] as const) {
      expect(thrown(() => lrRangeTest(bad, train))).toBe(
        `TypeError: lrRangeTest: optimizer: ${shown}, expected an optimizer`,
      );
    }
    expect(thrown(() => lrRangeTest(adam, 1))).toBe(
      'TypeError: lrRangeTest: trainStep: 1, expected a function, (i) => loss',
    );
    for (const [name, number] of [
      ['from', 'a number in (0, inf)'],
      ['to', 'a number in (0, inf)'],
      ['steps', 'an integer in [3, inf)'],
    ] as const) {
      for (const [value, shown] of notNumbers.slice(1)) {
        expect(run({ [name]: value })).toBe(`TypeError: lrRangeTest: ${name}: ${shown}, expected ${number}`);
      }
    }
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(run({ from: value })).toBe(`RangeError: lrRangeTest: from: ${value}, expected (0, inf)`);
      expect(run({ to: value })).toBe(`RangeError: lrRangeTest: to: ${value}, expected (0, inf)`);
    }
    for (const value of [2, 3.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(run({ steps: value })).toBe(`RangeError: lrRangeTest: steps: ${value}, expected an integer in [3, inf)`);
    }
    expect(run({ from: 1, to: 1 })).toBe('RangeError: lrRangeTest: to: 1, expected more than from, 1');
    expect(run({ from: 20 })).toBe('RangeError: lrRangeTest: to: 10, expected more than from, 20');
    expect(run({ step: 10 })).toBe(
      'TypeError: lrRangeTest: step: unknown option, expected steps (it has from, to, steps)',
    );
    expect(run(null)).toBe('TypeError: lrRangeTest: options: null, expected an object with from, to, steps');
    expect(look()).toEqual(before);
    adam.dispose();
    expect(run({})).toBe('TypeError: Adam: this: a disposed optimizer, expected one in use');
  });

  test.each(notNumbers)('%s is no loss; all is put back, now or later', async (value, shown) => {
    const { adam, look, train } = setup();
    const before = look();
    const message = `lrRangeTest: trainStep(1): ${shown}, expected the loss, a number`;
    const trainStep = (i: number) => [train(), value][i];
    expect(thrown(() => lrRangeTest(adam, trainStep))).toBe(`TypeError: ${message}`);
    expect(look()).toEqual(before);
    await expect(lrRangeTest(adam, async (i: number) => trainStep(i))).rejects.toThrow(new TypeError(message));
    expect(look()).toEqual(before);
  });

  test('what trainStep throws or rejects with comes out, and all is put back', async () => {
    const { adam, look, train } = setup();
    const before = look();
    for (const fault of [new Error('no more data'), 'a string', undefined]) {
      const fail = (i: number) => {
        train();
        if (i === 3) throw fault;
        return 1;
      };
      let caught: unknown = 'nothing';
      try {
        lrRangeTest(adam, fail);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBe(fault);
      expect(look()).toEqual(before);

      const later = lrRangeTest(adam, async (i: number) => fail(i));
      expect(adam.paramGroups[0]?.lr).toBe(1e-7); // under way
      expect(adam.stepCount).toBe(2);
      await expect(later).rejects.toBe(fault);
      expect(look()).toEqual(before);

      // One that promises at first and throws later on.
      await expect(lrRangeTest(adam, (i: number) => (i < 2 ? Promise.resolve(train()) : fail(3)))).rejects.toBe(fault);
      expect(look()).toEqual(before);
    }
  });

  test('an error of the step itself comes out too', () => {
    const { adam, look, train } = setup();
    const before = look();
    let i = 0;
    const options = { from: 1, to: 2, steps: 5 };
    expect(thrown(() => lrRangeTest(adam, () => (i++ < 2 ? train() : adam.step({ w: f32(1) })), options))).toBe(
      'RangeError: Adam: grads["w"]: length 1, expected 2 ("w")',
    );
    expect(look()).toEqual(before);
  });

  test('weights whose memory went away in the meantime are named', () => {
    const { w, adam } = setup();
    const steal = () => {
      structuredClone(w, { transfer: [w.buffer as ArrayBuffer] });
      return 1;
    };
    expect(thrown(() => lrRangeTest(adam, steal, { steps: 3 }))).toBe(
      `TypeError: lrRangeTest: paramGroups[0].params["w"]: ${detachedText}, expected length 2${gone}`,
    );
  });

  test('trainStep is told the number of the step', () => {
    const { adam } = setup();
    const seen: unknown[] = [];
    lrRangeTest(adam, (...args: unknown[]) => seen.push(args) * 0 + 1, { steps: 3 });
    expect(seen).toEqual([[0], [1], [2]]);
  });
});

describe('the examples in the docstrings', () => {
  const folder = join(__dirname, '../../lib/training');
  const source = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  const blocks = [
    ...source.matchAll(/@example\n \* ```ts\n([\s\S]*?) \* ```\n \*\/\nexport (?:function|class) (\w+)/g),
  ];
  const examples = blocks.map(([, block = '', name = '']): [string, string] => [name, block.replace(/^ \* ?/gm, '')]);

  test('every export has one', () =>
    expect(examples.map(([name]) => name).sort()).toEqual(Object.keys(training).sort()));

  test.each(examples)('%s gives what its comments say', (name, code) => {
    expect(code).toMatch(new RegExp(`^import \\{[^}]*\\b${name}\\b[^}]*\\} from 'schuss';\n`));
    // `sgd.lr; // 0.1` becomes a check; the import, a look-up in the module under test.
    const checked = code
      .replace(/^import (\{.*\}) from 'schuss';$/m, 'const $1 = schuss;')
      .replace(/^(.+); \/\/ (\S+)$/gm, 'check($1, $2);');
    let checks = 0;
    const check = (actual: unknown, expected: unknown) => {
      checks++;
      if (typeof expected === 'number') expect(actual).toBeCloseTo(expected, 5);
      else expect(actual).toBe(expected);
    };
    new Function('schuss', 'check', ts.transpile(checked))({ ...library, ...training }, check);
    expect(checks).toBeGreaterThanOrEqual(1);
  });
});
