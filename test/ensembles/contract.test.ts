import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, expectTypeOf, test } from 'vitest';
import * as ensembles from '../../lib/ensembles/index.js';
import * as schuss from '../../lib/index.js';

// What TypeScript would refuse is half of what is tested here.
// biome-ignore lint/suspicious/noExplicitAny: see above
const e = ensembles as any;

const f = (...values: number[]) => Float32Array.from(values);
const a = f(1, 2, 3, 4, 5, 6);
const b = f(6, 5, 4, 3, 2, 1);

function detached(length: number): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

function thrown(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return String(error);
  }
  return 'nothing was thrown';
}

test('the names are those of the contract', () => {
  expect(Object.keys(ensembles).sort()).toEqual([
    'Ensemble',
    'WeightAverage',
    'averageLogits',
    'averagePredictions',
    'averageWeights',
    'distillationLoss',
    'majorityVote',
  ]);
});

const noWeights: [unknown, string][] = [
  [5, 'TypeError: $: weights: 5, expected a list of numbers'],
  ['11', 'TypeError: $: weights: "11", expected a list of numbers'],
  [{ length: 2 }, 'TypeError: $: weights: an object, expected a list of numbers'],
  [null, 'TypeError: $: weights: null, expected a list of numbers'],
  [new DataView(new ArrayBuffer(2)), 'TypeError: $: weights: DataView(2), expected a list of numbers'],
  [[1], 'RangeError: $: weights: length 1, expected 2 (one for each %)'],
  [[1, 2, 3], 'RangeError: $: weights: length 3, expected 2 (one for each %)'],
  [[1, -1], 'RangeError: $: weights[1]: -1, expected [0, inf)'],
  [[Number.NaN, 1], 'RangeError: $: weights[0]: NaN, expected [0, inf)'],
  [[1, Number.POSITIVE_INFINITY], 'RangeError: $: weights[1]: Infinity, expected [0, inf)'],
  [[1, '1'], 'TypeError: $: weights[1]: "1", expected a number in [0, inf)'],
  [[1, ,], 'TypeError: $: weights[1]: undefined, expected a number in [0, inf)'],
  [new BigInt64Array(2), 'TypeError: $: weights[0]: 0n, expected a number in [0, inf)'],
  [[0, 0], 'RangeError: $: weights: all 0, expected at least one above 0'],
];

// biome-ignore lint/suspicious/noExplicitAny: see above
type Options = any;
const takeWeights: [string, string, (options: Options) => unknown][] = [
  ['averagePredictions', 'member', (options) => e.averagePredictions([a, b], options)],
  ['averageLogits', 'member', (options) => e.averageLogits([a, b], options)],
  ['majorityVote', 'member', (options) => e.majorityVote([a, b], { classes: 3, ...options })],
  ['averageWeights', 'model', (options) => e.averageWeights([[a], [b]], options)],
  ['Ensemble', 'member', (options) => new e.Ensemble([() => a, () => b], options)],
];

describe.each(takeWeights)('%s: weights', (name, each, call) => {
  test.each(noWeights)('refused %#', (weights, message) => {
    expect(thrown(() => call({ weights }))).toBe(message.replace('$', name).replace('%', each));
  });

  test('numbers in any list', () => {
    for (const weights of [[1, 0], f(1, 0), Float64Array.of(0, 1e-300), Uint8Array.of(1, 2), undefined])
      expect(thrown(() => call({ weights }))).toBe('nothing was thrown');
  });
});

const takeMembers: [string, (members: unknown) => unknown][] = [
  ['averagePredictions', (members) => e.averagePredictions(members)],
  ['averageLogits', (members) => e.averageLogits(members)],
  ['majorityVote', (members) => e.majorityVote(members, { classes: 3 })],
];

describe.each(takeMembers)('%s: members', (name, call) => {
  test.each<[unknown, string]>([
    [a, 'TypeError: $: members: Float32Array(6), expected a list of Float32Arrays'],
    [undefined, 'TypeError: $: members: undefined, expected a list of Float32Arrays'],
    [{ 0: a, length: 1 }, 'TypeError: $: members: an object, expected a list of Float32Arrays'],
    [[], 'RangeError: $: members: nothing, expected at least one Float32Array'],
    [[a, f(1, 2, 3)], 'RangeError: $: members[1]: length 3, expected 6'],
    [
      [a, [1, 2, 3, 4, 5, 6]],
      'TypeError: $: members[1]: an array of 6, expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [
      [Float64Array.from(a)],
      'TypeError: $: members[0]: Float64Array(6), expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [[a, null], 'TypeError: $: members[1]: null, expected a Float32Array'],
    [[a, , b], 'TypeError: $: members[1]: undefined, expected a Float32Array'],
    [
      [a, detached(6)],
      'TypeError: $: members[1]: a detached Float32Array, expected a Float32Array (its buffer was transferred, resized or grown)',
    ],
  ])('refused %#', (members, message) => {
    expect(thrown(() => call(members))).toBe(message.replace('$', name));
  });
});

describe('options', () => {
  const calls: [string, (options: unknown) => unknown, near: [string, string]][] = [
    ['averagePredictions', (o) => e.averagePredictions([a], o), ['weigths', 'weights']],
    ['averageLogits', (o) => e.averageLogits([a], o), ['Out', 'out']],
    ['majorityVote', (o) => e.majorityVote([a], o), ['class', 'classes']],
    ['averageWeights', (o) => e.averageWeights([[a]], o), ['weight', 'weights']],
    ['Ensemble', (o) => new e.Ensemble([() => a], o), ['votes', 'vote']],
    ['WeightAverage', (o) => new e.WeightAverage(a, o), ['debiased', 'debias']],
    ['distillationLoss', (o) => e.distillationLoss(a, b, o), ['temprature', 'temperature']],
  ];

  test.each(calls)('%s: an unknown one, and what is no bag of them', (name, call, [wrong, right]) => {
    const message = thrown(() => call({ [wrong]: 1 }));
    expect(message).toMatch(new RegExp(`^TypeError: ${name}: ${wrong}: unknown option, expected ${right} `));
    for (const options of [null, 5, [], 'classes'])
      expect(thrown(() => call(options))).toMatch(
        new RegExp(`^TypeError: ${name}: options: .*, expected an object with `),
      );
  });

  test.each(['majorityVote', 'WeightAverage', 'distillationLoss'])('%s needs some', (name) => {
    const call = calls.find(([n]) => n === name)![1];
    expect(thrown(() => call(undefined))).toMatch(new RegExp(`^TypeError: ${name}: options: undefined, `));
    expect(thrown(() => call({}))).toMatch(new RegExp(`^TypeError: ${name}: (classes|decay): undefined, expected `));
  });
});

describe('classes', () => {
  const calls: [string, string, (classes: unknown) => unknown][] = [
    ['averagePredictions', 'members[0]', (classes) => e.averagePredictions([a], { classes })],
    ['averagePredictions', 'members[0]', (classes) => e.averagePredictions([a], { from: 'logits', classes })],
    ['majorityVote', 'members[0]', (classes) => e.majorityVote([a], { classes })],
    ['distillationLoss', 'studentLogits', (classes) => e.distillationLoss(a, b, { classes })],
  ];

  test.each(calls)('%s', (name, argument, call) => {
    for (const n of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(thrown(() => call(n))).toBe(`RangeError: ${name}: classes: ${n}, expected an integer in [1, inf)`);
    expect(thrown(() => call('3'))).toBe(`TypeError: ${name}: classes: "3", expected an integer in [1, inf)`);
    expect(thrown(() => call(4))).toBe(
      `RangeError: ${name}: ${argument}: length 6, expected a multiple of 4 (rows of classes)`,
    );
    for (const n of [1, 2, 3, 6]) expect(thrown(() => call(n))).toBe('nothing was thrown');
  });

  test('are needed with logits', () => {
    const message = 'classes: undefined, expected an integer in [1, inf)';
    expect(thrown(() => e.averagePredictions([a], { from: 'logits' }))).toBe(
      `TypeError: averagePredictions: ${message}`,
    );
    expect(thrown(() => new e.Ensemble([() => a], { from: 'logits' }))).toBe(`TypeError: Ensemble: ${message}`);
    expect(thrown(() => new e.Ensemble([() => a], { vote: true }))).toBe(`TypeError: Ensemble: ${message}`);
    expect(thrown(() => new e.Ensemble([() => a], { classes: 0 }))).toBe(
      'RangeError: Ensemble: classes: 0, expected an integer in [1, inf)',
    );
  });

  test('from is one of its names', () => {
    expect(thrown(() => e.averagePredictions([a], { from: 'logit' }))).toBe(
      'RangeError: averagePredictions: from: "logit", expected "probabilities" or "logits"',
    );
    expect(thrown(() => new e.Ensemble([() => a], { from: 1 }))).toBe(
      'TypeError: Ensemble: from: 1, expected "probabilities" or "logits"',
    );
  });
});

describe('out and grad', () => {
  const memory = new Float32Array(20);
  const [first, shifted, behind] = [memory.subarray(0, 6), memory.subarray(3, 9), memory.subarray(6, 12)];
  const calls: [string, string, string, (member: Float32Array, out: unknown) => unknown][] = [
    ['averagePredictions', 'out', 'members[1]', (m, out) => e.averagePredictions([a, m], { out })],
    [
      'averagePredictions',
      'out',
      'members[1]',
      (m, out) => e.averagePredictions([a, m], { from: 'logits', classes: 3, out }),
    ],
    ['averageLogits', 'out', 'members[1]', (m, out) => e.averageLogits([a, m], { out })],
    ['distillationLoss', 'grad', 'studentLogits', (m, grad) => e.distillationLoss(m, a, { classes: 3, grad })],
    ['distillationLoss', 'grad', 'teacher', (m, grad) => e.distillationLoss(a, m, { classes: 3, grad })],
    ['distillationLoss', 'grad', 'teacher[1]', (m, grad) => e.distillationLoss(a, [b, m], { classes: 3, grad })],
    [
      'distillationLoss',
      'grad',
      'teacher.probabilities',
      (m, grad) => e.distillationLoss(a, { probabilities: m }, { classes: 3, grad }),
    ],
  ];

  test.each(calls)('%s: %s against %s', (name, out, member, call) => {
    const overlap = `RangeError: ${name}: ${out}: memory that overlaps ${member} in part, expected the same memory or memory of its own`;
    memory.fill(0.25); // what is no probability would be refused itself
    expect(thrown(() => call(first, shifted))).toBe(overlap);
    expect(thrown(() => call(shifted, first))).toBe(overlap);
    expect(thrown(() => call(behind, shifted))).toBe(overlap);
    expect(thrown(() => call(a, f(1, 2, 3)))).toBe(`RangeError: ${name}: ${out}: length 3, expected 6`);
    expect(thrown(() => call(a, new Float64Array(6)))).toBe(
      `TypeError: ${name}: ${out}: Float64Array(6), expected a Float32Array (convert it with Float32Array.from(…))`,
    );
    expect(thrown(() => call(a, null))).toBe(`TypeError: ${name}: ${out}: null, expected a Float32Array`);
    expect(memory.every((v) => v === 0.25)).toBe(true);
    expect(thrown(() => call(first, behind))).toBe('nothing was thrown');
    memory.fill(0.25);
    expect(thrown(() => call(behind, first))).toBe('nothing was thrown');
    memory.fill(0.25);
    expect(thrown(() => call(first, memory.subarray(0, 6)))).toBe('nothing was thrown');
  });

  test('grad and labels are apart', () => {
    const buffer = new ArrayBuffer(64);
    const [labels, grad] = [new Int32Array(buffer, 0, 2), new Float32Array(buffer, 0, 6)];
    expect(thrown(() => e.distillationLoss(a, b, { classes: 3, labels, grad }))).toBe(
      'RangeError: distillationLoss: grad: memory shared with labels, expected memory of its own',
    );
    expect([...labels]).toEqual([0, 0]);
    expect(thrown(() => e.distillationLoss(a, b, { classes: 3, labels, grad: new Float32Array(buffer, 8, 6) }))).toBe(
      'nothing was thrown',
    );
  });
});

test('majorityVote: NaN has no place in an order', () => {
  const nan = f(1, 2, 3, 1, Number.NaN, 3);
  expect(thrown(() => e.majorityVote([a, nan], { classes: 3 }))).toBe(
    'RangeError: majorityVote: members[1]: NaN in row 1, expected values to compare',
  );
  expect([...e.majorityVote([a, nan], { classes: 3, weights: [1, 0] })]).toEqual([2, 2]);
});

describe('Ensemble', () => {
  test.each<[unknown, string]>([
    [() => a, 'TypeError: Ensemble: members: a function, expected a list of functions'],
    [[], 'RangeError: Ensemble: members: nothing, expected at least one function'],
    [[() => a, a], 'TypeError: Ensemble: members[1]: Float32Array(6), expected a function (x) => Float32Array'],
    [[() => a, ,], 'TypeError: Ensemble: members[1]: undefined, expected a function (x) => Float32Array'],
  ])('refused %#', (members, message) => {
    expect(thrown(() => new e.Ensemble(members))).toBe(message);
  });

  test('vote is true or false', () => {
    expect(thrown(() => new e.Ensemble([() => a], { vote: 'hard', classes: 3 }))).toBe(
      'TypeError: Ensemble: vote: "hard", expected true or false',
    );
  });

  const rejected = async (members: unknown[], options = {}) =>
    String(await new e.Ensemble(members, options).predict(a).catch((error: unknown) => error));

  test('what a member gives is looked at, and the member named', async () => {
    expect(await rejected([() => a, () => [1, 2]])).toBe(
      'TypeError: Ensemble: members[1](x): [1, 2], expected a Float32Array (convert it with Float32Array.from(…))',
    );
    expect(await rejected([() => a, async () => undefined])).toBe(
      'TypeError: Ensemble: members[1](x): undefined, expected a Float32Array',
    );
    expect(await rejected([async () => detached(6)])).toMatch(
      /^TypeError: Ensemble: members\[0\]\(x\): a detached Float32Array, /,
    );
    expect(await rejected([() => a, async () => f(1)])).toBe(
      'RangeError: Ensemble: members[1](x): length 1, expected 6',
    );
    expect(await rejected([() => a], { from: 'logits', classes: 4 })).toBe(
      'RangeError: Ensemble: members[0](x): length 6, expected a multiple of 4 (rows of classes)',
    );
    expect(await rejected([() => a], { classes: 4 })).toBe(
      'RangeError: Ensemble: members[0](x): length 6, expected a multiple of 4 (rows of classes)',
    );
    expect(await rejected([() => a, () => f(Number.NaN)], { vote: true, classes: 1 })).toMatch(/length 1, expected 6/);
    expect(await rejected([() => f(Number.NaN)], { vote: true, classes: 1 })).toBe(
      'RangeError: Ensemble: members[0](x): NaN in row 0, expected values to compare',
    );
  });

  test('an error of a member comes through as it is, and never as a throw; no other rejection is left alone', async () => {
    const error = new Error('out of memory');
    const unhandled: unknown[] = [];
    const listen = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', listen);
    const members = [
      async () => Promise.reject(error),
      () => {
        throw error;
      },
    ];
    await expect(new e.Ensemble(members).predict(a)).rejects.toBe(error);
    await expect(new e.Ensemble([...members].reverse()).predict(a)).rejects.toBe(error);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });

  test('later changes to the lists that it was made from are of no account', async () => {
    const members = [() => f(1), () => f(3)];
    const weights = [1, 3];
    const ensemble = new ensembles.Ensemble(members, { weights });
    members.pop();
    weights[0] = 100;
    expect([...(await ensemble.predict(a))]).toEqual([2.5]);
  });

  test('the type of the prediction follows the option vote, that of x the members', () => {
    expectTypeOf(new ensembles.Ensemble([(x) => x]).predict).toEqualTypeOf<
      (x: Float32Array) => Promise<Float32Array>
    >();
    expectTypeOf(
      new ensembles.Ensemble([async (x: string) => f(x.length)], { from: 'logits', classes: 1 }).predict,
    ).toEqualTypeOf<(x: string) => Promise<Float32Array>>();
    expectTypeOf(
      new ensembles.Ensemble([() => a], { vote: true, classes: 3 }).predict(a),
    ).resolves.toEqualTypeOf<Int32Array>();
    expectTypeOf(new ensembles.Ensemble([() => a], { vote: false }).predict(a)).resolves.toEqualTypeOf<Float32Array>();
  });
});

describe('averageWeights', () => {
  test.each<[unknown, string]>([
    [a, 'TypeError: averageWeights: models: Float32Array(6), expected a list of lists of Float32Arrays'],
    [[], 'RangeError: averageWeights: models: nothing, expected at least one list of Float32Arrays'],
    [[a, b], 'TypeError: averageWeights: models[0]: Float32Array(6), expected a list of Float32Arrays'],
    [[[a], []], 'RangeError: averageWeights: models[1]: nothing, expected at least one Float32Array'],
    [[[a], [a, b]], 'RangeError: averageWeights: models[1]: 2 array(s), expected 1, as models[0] has'],
    [
      [
        [a, b],
        [b, f(1)],
      ],
      'RangeError: averageWeights: models[1][1]: length 1, expected 6',
    ],
    [
      [[a], [new Float64Array(6)]],
      'TypeError: averageWeights: models[1][0]: Float64Array(6), expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [
      [[a], [detached(6)]],
      'TypeError: averageWeights: models[1][0]: a detached Float32Array, expected a Float32Array (its buffer was transferred, resized or grown)',
    ],
  ])('refused %#', (models, message) => {
    expect(thrown(() => e.averageWeights(models))).toBe(message);
  });
});

describe('WeightAverage', () => {
  const { WeightAverage } = ensembles;

  test.each<[unknown, string]>([
    [{ decay: 1 }, 'RangeError: WeightAverage: decay: 1, expected [0, 1)'],
    [{ decay: -0.1 }, 'RangeError: WeightAverage: decay: -0.1, expected [0, 1)'],
    [{ decay: Number.NaN }, 'RangeError: WeightAverage: decay: NaN, expected [0, 1)'],
    [{ decay: '0.9' }, 'TypeError: WeightAverage: decay: "0.9", expected a number in [0, 1)'],
    [{ mode: 'ema' }, 'TypeError: WeightAverage: decay: undefined, expected a number in [0, 1)'],
    [{ decay: 0.9, debias: 1 }, 'TypeError: WeightAverage: debias: 1, expected true or false'],
    [{ mode: 'mean' }, 'RangeError: WeightAverage: mode: "mean", expected "ema" or "swa"'],
    [{ mode: 'swa', decay: 0.9 }, 'TypeError: WeightAverage: decay: 0.9, expected no decay with mode "swa"'],
    [{ mode: 'swa', debias: false }, 'TypeError: WeightAverage: debias: false, expected no debias with mode "swa"'],
  ])('refused %o', (options, message) => {
    expect(thrown(() => new e.WeightAverage(a, options))).toBe(message);
  });

  test.each<[unknown, string]>([
    [[], /RangeError: WeightAverage: params: nothing, expected /.source],
    [5, /TypeError: WeightAverage: params: 5, expected /.source],
    [
      [a, new Float64Array(2)],
      /TypeError: WeightAverage: params\[1\]: Float64Array\(2\), expected .*convert it/.source,
    ],
    [
      [a, a],
      /RangeError: WeightAverage: params\[1\]: memory shared with params\[0\], expected memory of its own/.source,
    ],
    [{ x: a, y: a.subarray(3) }, /RangeError: WeightAverage: params\["y"\]: memory shared with params\["x"\]/.source],
    [{ data: a, shape: [2, 2] }, /RangeError: WeightAverage: params.shape: /.source],
    [
      [{ params: { x: a } }, { params: { x: f(1) } }],
      /RangeError: WeightAverage: params\[1\].params\["x"\]: a name used before, /.source,
    ],
    [
      [{ params: { x: a } }, { params: f(1) }],
      /TypeError: WeightAverage: params\[1\].params: a param without a name, /.source,
    ],
  ])('params %#', (params, message) => {
    expect(thrown(() => new e.WeightAverage(params, { mode: 'swa' }))).toMatch(new RegExp(`^${message}`));
  });

  test('takes any structure of params, groups with options too, and gives them in order', () => {
    const [x, y] = [f(1, 2), f(3)];
    const structures: ConstructorParameters<typeof WeightAverage>[0][] = [
      [x, y],
      { x, y },
      [{ data: x, shape: [1, 2] }, y],
      [{ params: x, lr: 1 }, { params: [y] }],
      new schuss.SGD([{ params: { x }, momentum: 0.9 }, { params: { y } }], { lr: 1 }).paramGroups,
    ];
    for (const params of structures) expect(new WeightAverage(params, { decay: 0.5 }).params).toEqual([x, y]);
    expect(new WeightAverage(x, { decay: 0.5 }).params).toEqual([x]);
  });

  test('before the first update: count 0, the weights at construction, nothing to swap', () => {
    for (const options of [{ mode: 'swa' as const }, { decay: 0.5 }, { decay: 0.5, debias: true }]) {
      const w = f(1, 2);
      const average = new WeightAverage(w, options);
      w.fill(9);
      expect(average.count).toBe(0);
      expect(average.params).toEqual([f(1, 2)]);
      expect(thrown(() => average.swap())).toBe(
        'TypeError: WeightAverage: swap: no average yet, expected an update() before',
      );
      expect(w).toEqual(f(9, 9));
    }
  });

  test('update reads the params alone, and params are always the same arrays', () => {
    for (const options of [{ mode: 'swa' as const }, { decay: 0.5 }, { decay: 0.5, debias: true }]) {
      const w = f(1, 2);
      const average = new WeightAverage(w, options);
      const { params } = average;
      average.update();
      average.update();
      expect(w).toEqual(f(1, 2));
      expect(average.params[0]).toBe(params[0]);
      expect(average.params[0]).not.toBe(w);
      expect(Object.isFrozen(params)).toBe(true);
    }
  });

  test('while swapped, update, stateDict and loadStateDict are refused', () => {
    const w = f(1);
    const average = new WeightAverage(w, { decay: 0.5, debias: true });
    average.update();
    const state = average.stateDict();
    w[0] = 7;
    average.swap();
    for (const [name, call] of Object.entries({
      update: () => average.update(),
      stateDict: () => average.stateDict(),
      loadStateDict: () => average.loadStateDict(state),
    })) {
      expect(thrown(call)).toBe(`TypeError: WeightAverage: ${name}: the average is swapped in, expected swap() before`);
    }
    expect(average.count).toBe(1);
    expect([w[0], average.params[0]![0]]).toEqual([1, 7]);
    average.swap();
    average.update();
    expect(average.count).toBe(2);
    expect(average.params[0]![0]).toBe(5); // (1/4 + 7/2) / (3/4)
  });

  test('memory that is gone is refused before anything changes', () => {
    const buffers = new ArrayBuffer(8);
    const [x, y] = [f(1), new Float32Array(buffers)];
    const average = new WeightAverage([x, y], { decay: 0.5 });
    average.update();
    x[0] = 3;
    structuredClone(buffers, { transfer: [buffers] });
    const message = /^TypeError: WeightAverage: params\[1\]: a detached Float32Array, expected length 2/;
    expect(thrown(() => average.update())).toMatch(message);
    expect(thrown(() => average.swap())).toMatch(message);
    expect([average.count, x[0], average.params[0]![0]]).toEqual([1, 3, 1]);
  });

  describe('stateDict', () => {
    const make = (options: ConstructorParameters<typeof WeightAverage>[1]) => {
      const average = new WeightAverage({ x: f(1, 2), y: f(3) }, options);
      average.update();
      return average;
    };

    test('is a plain copy', () => {
      const average = make({ decay: 0.75, debias: true });
      const state = average.stateDict();
      expect(state).toEqual({
        version: 1,
        mode: 'ema',
        decay: 0.75,
        debias: true,
        count: 1,
        params: { x: f(0.25, 0.5), y: f(0.75) },
      });
      state.params['x']!.fill(99);
      expect(average.params[0]).toEqual(f(1, 2));
      expect(make({ mode: 'swa' }).stateDict()).toEqual({
        version: 1,
        mode: 'swa',
        count: 1,
        params: { x: f(1, 2), y: f(3) },
      });
      expect(Object.keys(new WeightAverage([f(1), f(2)], { mode: 'swa' }).stateDict().params)).toEqual(['0', '1']);
    });

    test('takes over the decay, the count and the arrays', () => {
      const other = new WeightAverage({ y: f(0), x: f(0, 0) }, { decay: 0.1, debias: true });
      other.update();
      expect(other.params).toEqual([f(0), f(0, 0)]); // what was read is not kept
      other.loadStateDict(make({ decay: 0.75, debias: true }).stateDict());
      expect(other.count).toBe(1);
      expect(other.params).toEqual([f(3), f(1, 2)]); // by name
      other.update();
      expect(other.stateDict()).toMatchObject({ count: 2, decay: 0.75 });
      other.loadStateDict(new WeightAverage({ x: f(1, 2), y: f(3) }, { decay: 0.75, debias: true }).stateDict());
      expect(other.params).toEqual([f(0), f(0, 0)]); // nothing averaged: the weights
    });

    test.each<[string, object, string]>([
      ['another version', { version: 2 }, 'RangeError: $: version: 2, expected 1'],
      ['another mode', { mode: 'swa' }, 'TypeError: $: mode: "swa", expected "ema"'],
      ['another start', { debias: true }, 'TypeError: $: debias: true, expected false'],
      ['a decay out of range', { decay: 1 }, 'RangeError: $: decay: 1, expected [0, 1)'],
      ['a negative count', { count: -1 }, 'RangeError: $: count: -1, expected an integer in [0, inf)'],
      ['an unknown key', { counts: 1 }, 'TypeError: $: counts: unknown option, expected count '],
      ['no params', { params: null }, 'TypeError: $: params: options: null, expected an object with x, y'],
      ['a missing param', { params: { x: f(1, 2) } }, 'TypeError: $: params["y"]: undefined, expected a Float32Array'],
      [
        'another param',
        { params: { x: f(1, 2), y: f(1), z: f(1) } },
        'TypeError: $: params: z: unknown option, expected ',
      ],
      ['another length', { params: { x: f(1, 2), y: f(1, 2) } }, 'RangeError: $: params["y"]: length 2, expected 1'],
    ])('refuses %s, all or nothing', (_name, change, message) => {
      const average = make({ decay: 0.75 });
      const before = average.stateDict();
      const state = { ...before, count: 5, decay: 0.5, params: { x: f(7, 7), y: f(7) }, ...change };
      expect(thrown(() => average.loadStateDict(state as typeof before))).toContain(
        message.replace('$', 'WeightAverage.loadStateDict'),
      );
      expect(average.stateDict()).toEqual(before);
    });

    test('takes each array as it was when it was checked', () => {
      const average = make({ mode: 'swa' });
      const x = f(7, 7);
      const params = {
        x,
        get y() {
          x.fill(Number.NaN);
          return f(7);
        },
      };
      average.loadStateDict({ version: 1, mode: 'swa', count: 5, params });
      expect(average.params).toEqual([f(7, 7), f(7)]);
    });

    test('refuses a decay for SWA', () => {
      const average = make({ mode: 'swa' });
      expect(thrown(() => average.loadStateDict({ ...average.stateDict(), decay: 0.9 } as never))).toMatch(
        /^TypeError: WeightAverage.loadStateDict: decay: unknown option, /,
      );
    });
  });
});

describe('distillationLoss', () => {
  const call = (options: Options, teacher: unknown = b) => e.distillationLoss(a, teacher, { classes: 3, ...options });
  const grad = f(9, 9, 9, 9, 9, 9);

  test.each<[string, object, string]>([
    ['temperature', { temperature: 0 }, 'RangeError: $: temperature: 0, expected (0, inf)'],
    ['temperature', { temperature: -1 }, 'RangeError: $: temperature: -1, expected (0, inf)'],
    ['temperature', { temperature: Number.NaN }, 'RangeError: $: temperature: NaN, expected (0, inf)'],
    [
      'temperature',
      { temperature: Number.POSITIVE_INFINITY },
      'RangeError: $: temperature: Infinity, expected (0, inf)',
    ],
    ['temperature', { temperature: '2' }, 'TypeError: $: temperature: "2", expected a number in (0, inf)'],
    ['alpha', { alpha: 1.1 }, 'RangeError: $: alpha: 1.1, expected [0, 1]'],
    ['alpha', { alpha: -0.1 }, 'RangeError: $: alpha: -0.1, expected [0, 1]'],
    ['alpha', { alpha: null }, 'TypeError: $: alpha: null, expected a number in [0, 1]'],
    ['labels', { alpha: 0.9 }, 'TypeError: $: labels: undefined, expected an Int32Array (alpha is 0.9, not 1)'],
    [
      'labels',
      { labels: [0, 1] },
      'TypeError: $: labels: [0, 1], expected an Int32Array (convert it with Int32Array.from(…))',
    ],
    ['labels', { labels: f(0, 1) }, 'TypeError: $: labels: Float32Array(2), expected an Int32Array'],
    ['labels', { labels: null }, 'TypeError: $: labels: null, expected an Int32Array'],
    ['labels', { labels: Int32Array.of(0) }, 'RangeError: $: labels: length 1, expected 2 (one for each row)'],
    ['labels', { labels: Int32Array.of(0, 3) }, 'RangeError: $: labels[1]: 3, expected an integer in [0, 3)'],
    ['labels', { labels: Int32Array.of(-1, 0) }, 'RangeError: $: labels[0]: -1, expected an integer in [0, 3)'],
    [
      'labels, unused ones too',
      { alpha: 1, labels: Int32Array.of(-1, 0) },
      'RangeError: $: labels[0]: -1, expected an integer in [0, 3)',
    ],
  ])('%s %o', (_name, options, message) => {
    expect(thrown(() => call({ ...options, grad }))).toBe(message.replace('$', 'distillationLoss'));
    expect(grad.every((g) => g === 9)).toBe(true);
  });

  test.each<[unknown, string]>([
    [null, 'TypeError: $: teacher: null, expected a Float32Array of logits, a list of them, or { probabilities }'],
    [
      { probs: a },
      'TypeError: $: teacher: an object, expected a Float32Array of logits, a list of them, or { probabilities }',
    ],
    [
      { probabilities: a, temperature: 2 },
      'TypeError: $: teacher: temperature: unknown option, expected one of probabilities',
    ],
    [
      new Float64Array(6),
      'TypeError: $: teacher: Float64Array(6), expected a Float32Array of logits, a list of them, or { probabilities } (convert it with Float32Array.from(…))',
    ],
    [[], 'RangeError: $: teacher: nothing, expected at least one Float32Array'],
    [[b, f(1)], 'RangeError: $: teacher[1]: length 1, expected 6'],
    [[f(1, 2, 3)], 'RangeError: $: teacher[0]: length 3, expected 6'],
    [[1, 2, 3], 'TypeError: $: teacher[0]: 1, expected a Float32Array'],
    [f(1, 2, 3), 'RangeError: $: teacher: length 3, expected 6'],
    [
      detached(6),
      'TypeError: $: teacher: a detached Float32Array, expected a Float32Array of logits, a list of them, or { probabilities } (its buffer was transferred, resized or grown)',
    ],
    [
      { probabilities: [1] },
      'TypeError: $: teacher.probabilities: [1], expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [{ probabilities: f(1, 0, 0) }, 'RangeError: $: teacher.probabilities: length 3, expected 6'],
    [
      { probabilities: f(1, 0, 0, 2, -1, 0) },
      'RangeError: $: teacher.probabilities[4]: -1, expected [0, inf) (logits are given as a Float32Array alone)',
    ],
    [
      { probabilities: f(Number.NaN, 0, 0, 1, 0, 0) },
      'RangeError: $: teacher.probabilities[0]: NaN, expected [0, inf) (logits are given as a Float32Array alone)',
    ],
  ])('teacher %#', (teacher, message) => {
    expect(thrown(() => call({ grad }, teacher))).toBe(message.replace('$', 'distillationLoss'));
    expect(grad.every((g) => g === 9)).toBe(true);
  });

  test.each<[unknown, string]>([
    [
      [1, 2, 3],
      'TypeError: $: studentLogits: [1, 2, 3], expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [undefined, 'TypeError: $: studentLogits: undefined, expected a Float32Array'],
    [f(), 'RangeError: $: studentLogits: length 0, expected at least one row'],
    [f(1, 2), 'RangeError: $: studentLogits: length 2, expected a multiple of 3 (rows of classes)'],
  ])('student %o', (student, message) => {
    expect(thrown(() => e.distillationLoss(student, b, { classes: 3 }))).toBe(message.replace('$', 'distillationLoss'));
  });

  test('alpha is 1 without labels and 0.5 with', () => {
    const labels = Int32Array.of(0, 1);
    expect(call({})).toBe(call({ alpha: 1 }));
    expect(call({ labels })).toBe(call({ labels, alpha: 0.5 }));
    expect(call({ labels })).not.toBe(call({}));
    expect(call({})).toBe(call({ temperature: 1 }));
    expect(call({ labels, alpha: undefined, temperature: undefined, grad: undefined })).toBe(call({ labels }));
  });

  test('nothing that is given is changed', () => {
    const before = [a, b].map((array) => [...array]);
    const labels = Int32Array.of(0, 1);
    call({ labels, temperature: 3, grad: new Float32Array(6) }, [b, b]);
    expect([a, b].map((array) => [...array])).toEqual(before);
    expect([...labels]).toEqual([0, 1]);
  });
});

test('memory that is shared, and views into the midst of it', () => {
  const shared = new Float32Array(new SharedArrayBuffer(64), 16, 2).fill(4);
  expect([...ensembles.averageLogits([shared, f(0, 2)], { out: shared })]).toEqual([2, 3]);
  const average = new ensembles.WeightAverage(shared, { mode: 'swa' });
  average.update();
  shared.fill(0);
  average.swap();
  expect([...shared]).toEqual([2, 3]);
});

describe('the examples in the docstrings', () => {
  const folder = join(__dirname, '../../lib/ensembles');
  const source = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  const blocks = [...source.matchAll(/@example\n\s+\* ```ts\n([\s\S]*?) +\* ```/g)].map(([, block = '']) =>
    block.replace(/^ +\* ?/gm, ''),
  );

  test('every export has one', () => {
    const imported = blocks
      .flatMap((code) => code.match(/^import \{(.*)\} from 'schuss';$/m)?.[1]?.split(',') ?? [])
      .map((name) => name.trim());
    expect(imported).toEqual(expect.arrayContaining(Object.keys(ensembles)));
  });

  test.each(blocks)('%# gives what its comments say', async (code) => {
    // `f(x); // [1, 2]` becomes a check; the import, a look-up in the modules under test.
    const checked = code
      .replace(/^import (\{.*\}) from 'schuss';$/m, 'const $1 = schuss;')
      .replace(/^(.+); \/\/ (\S.*)$/gm, 'check($1, $2);');
    let checks = 0;
    const plain = (value: unknown): unknown =>
      ArrayBuffer.isView(value) ? [...(value as Float32Array)] : Array.isArray(value) ? value.map(plain) : value;
    const check = (actual: unknown, expected: unknown) => {
      checks++;
      expect(plain(actual)).toEqual(expected);
    };
    const body = ts.transpile(`(async () => {${checked}})()`, { target: ts.ScriptTarget.ES2022 });
    await new Function('schuss', 'check', `return ${body}`)({ ...schuss, ...ensembles }, check);
    expect(checks).toBeGreaterThanOrEqual(1);
  });
});
