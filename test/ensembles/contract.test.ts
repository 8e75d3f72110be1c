// All ensemble functions: every wrong argument is refused, in the library's error shape.
import { describe, expect, test } from 'vitest';
import * as ensembles from '../../lib/ensembles/index.js';
import { f32 } from '../support/arrays.js';
import { detached, thrown } from '../support/bad-input.js';

// Half of the tests pass values that TypeScript refuses.
// biome-ignore lint/suspicious/noExplicitAny: see above
const e = ensembles as any;

const a = f32(1, 2, 3, 4, 5, 6);

const b = f32(6, 5, 4, 3, 2, 1);

test('the public names are known', () => {
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
  test.each(noWeights)('invalid argument %# is refused', (weights, message) => {
    expect(thrown(() => call({ weights }))).toBe(message.replace('$', name).replace('%', each));
  });

  test('weights may be any list of numbers', () => {
    for (const weights of [[1, 0], f32(1, 0), Float64Array.of(0, 1e-300), Uint8Array.of(1, 2), undefined])
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
    [[a, f32(1, 2, 3)], 'RangeError: $: members[1]: length 3, expected 6'],
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
  ])('invalid argument %# is refused', (members, message) => {
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

  test.each(calls)(
    '%s: an unknown option is refused, and so are options that are not an object',
    (name, call, [wrong, right]) => {
      const message = thrown(() => call({ [wrong]: 1 }));
      expect(message).toMatch(new RegExp(`^TypeError: ${name}: ${wrong}: unknown option, expected ${right}`));
      for (const options of [null, 5, [], 'classes'])
        expect(thrown(() => call(options))).toMatch(
          new RegExp(`^TypeError: ${name}: options: .*, expected an object with `),
        );
    },
  );

  test.each(['majorityVote', 'WeightAverage', 'distillationLoss'])('%s requires options', (name) => {
    const call = calls.find(([n]) => n === name)![1];
    expect(thrown(() => call(undefined))).toMatch(new RegExp(`^TypeError: ${name}: options: undefined, `));
    expect(thrown(() => call({}))).toMatch(new RegExp(`^TypeError: ${name}: (classes|decay): undefined, expected `));
  });
});

describe('classes', () => {
  const calls: [string, string, (classes: unknown) => unknown][] = [
    ['averagePredictions', 'members[0]', (classes) => e.averagePredictions([new Float32Array(6)], { classes })],
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

  test('classes is required with logits', () => {
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

  test('from must be one of its choices', () => {
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
    const overlap = `RangeError: ${name}: ${out}: memory that overlaps ${member} in part, expected the same memory or separate memory`;
    memory.fill(0.25); // a value that is not a probability would be refused first
    expect(thrown(() => call(first, shifted))).toBe(overlap);
    expect(thrown(() => call(shifted, first))).toBe(overlap);
    expect(thrown(() => call(behind, shifted))).toBe(overlap);
    expect(thrown(() => call(a, f32(1, 2, 3)))).toBe(`RangeError: ${name}: ${out}: length 3, expected 6`);
    expect(thrown(() => call(a, new Float64Array(6)))).toBe(
      `TypeError: ${name}: ${out}: Float64Array(6), expected a Float32Array (convert it with Float32Array.from(…))`,
    );
    expect(thrown(() => call(a, null))).toBe(`TypeError: ${name}: ${out}: null, expected a Float32Array`);
    expect(
      memory.every((v) => v === 0.25),
      'a refused call must write nothing',
    ).toBe(true);
    expect(thrown(() => call(first, behind))).toBe('nothing was thrown');
    memory.fill(0.25);
    expect(thrown(() => call(behind, first))).toBe('nothing was thrown');
    memory.fill(0.25);
    expect(thrown(() => call(first, memory.subarray(0, 6)))).toBe('nothing was thrown');
  });

  test('grad and labels must not share memory', () => {
    const buffer = new ArrayBuffer(64);
    const [labels, grad] = [new Int32Array(buffer, 0, 2), new Float32Array(buffer, 0, 6)];
    expect(thrown(() => e.distillationLoss(a, b, { classes: 3, labels, grad }))).toBe(
      'RangeError: distillationLoss: grad: memory shared with labels, expected separate memory',
    );
    expect([...labels]).toEqual([0, 0]);
    expect(thrown(() => e.distillationLoss(a, b, { classes: 3, labels, grad: new Float32Array(buffer, 8, 6) }))).toBe(
      'nothing was thrown',
    );
  });
});

test('arrays may be views of a SharedArrayBuffer', () => {
  const shared = new Float32Array(new SharedArrayBuffer(64), 16, 2).fill(4);
  expect([...ensembles.averageLogits([shared, f32(0, 2)], { out: shared })]).toEqual([2, 3]);
  const average = new ensembles.WeightAverage(shared, { mode: 'swa' });
  average.update();
  shared.fill(0);
  average.swap();
  expect([...shared]).toEqual([2, 3]);
});
