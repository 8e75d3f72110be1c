// distillationLoss: every wrong argument is refused, in the library's error shape, and changes nothing.
import { describe, expect, test } from 'vitest';
import * as ensembles from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { detached, thrown } from '../../support/bad-input.js';

// What TypeScript would refuse is half of what is tested here.
// biome-ignore lint/suspicious/noExplicitAny: see above
const e = ensembles as any;

const a = f32(1, 2, 3, 4, 5, 6);

const b = f32(6, 5, 4, 3, 2, 1);

// biome-ignore lint/suspicious/noExplicitAny: see above
type Options = any;

describe('distillationLoss', () => {
  const call = (options: Options, teacher: unknown = b) => e.distillationLoss(a, teacher, { classes: 3, ...options });
  const grad = f32(9, 9, 9, 9, 9, 9);

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
    ['labels', { labels: f32(0, 1) }, 'TypeError: $: labels: Float32Array(2), expected an Int32Array'],
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
    [[b, f32(1)], 'RangeError: $: teacher[1]: length 1, expected 6'],
    [[f32(1, 2, 3)], 'RangeError: $: teacher[0]: length 3, expected 6'],
    [[1, 2, 3], 'TypeError: $: teacher[0]: 1, expected a Float32Array'],
    [f32(1, 2, 3), 'RangeError: $: teacher: length 3, expected 6'],
    [
      detached(6),
      'TypeError: $: teacher: a detached Float32Array, expected a Float32Array of logits, a list of them, or { probabilities } (its buffer was transferred, resized or grown)',
    ],
    [
      { probabilities: [1] },
      'TypeError: $: teacher.probabilities: [1], expected a Float32Array (convert it with Float32Array.from(…))',
    ],
    [{ probabilities: f32(1, 0, 0) }, 'RangeError: $: teacher.probabilities: length 3, expected 6'],
    [
      { probabilities: f32(1, 0, 0, 2, -1, 0) },
      'RangeError: $: teacher.probabilities[4]: -1, expected [0, inf) (logits are given as a Float32Array alone)',
    ],
    [
      { probabilities: f32(Number.NaN, 0, 0, 1, 0, 0) },
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
    [f32(), 'RangeError: $: studentLogits: length 0, expected at least one row'],
    [f32(1, 2), 'RangeError: $: studentLogits: length 2, expected a multiple of 3 (rows of classes)'],
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
