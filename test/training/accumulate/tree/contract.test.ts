// GradAccumulator with options: refusals, and states that are loaded again.
import { describe, expect, test } from 'vitest';
import * as training from '../../../../lib/training/index.js';
import { f32 } from '../../../support/arrays.js';
import { thrown } from '../../../support/bad-input.js';
import { reference, withEngine } from '../../../support/engines.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const { GradAccumulator } = training as any;

const rows = (...list: number[]): { rows: Int32Array; values: Float32Array } => ({
  rows: Int32Array.from(list),
  values: new Float32Array(2 * list.length).fill(1),
});

describe('refusals', () => {
  test('of options', () => {
    expect(thrown(() => new GradAccumulator(f32(1), { order: 'pairwise' }))).toBe(
      'RangeError: GradAccumulator: order: "pairwise", expected "sequential" or "tree"',
    );
    expect(thrown(() => new GradAccumulator(f32(1), { ordered: 'tree' }))).toBe(
      'TypeError: GradAccumulator: ordered: unknown option, expected order (it has order)',
    );
    const sum = new GradAccumulator(f32(1));
    expect(thrown(() => sum.add(f32(1), { weight: -1 }))).toBe(
      'RangeError: GradAccumulator: weight: -1, expected [0, inf)',
    );
    expect(thrown(() => sum.add(f32(1), { weight: Number.NaN }))).toBe(
      'RangeError: GradAccumulator: weight: NaN, expected [0, inf)',
    );
    expect([sum.count, sum.weight]).toEqual([0, 0]);
  });

  test('of sparse gradients that do not fit', () => {
    const sum = new GradAccumulator({ t: { data: new Float32Array(8), shape: [4, 2] } }, { order: 'tree' });
    sum.add({ t: rows(1) });
    for (const [bad, message] of [
      [rows(4), 'RangeError: GradAccumulator: grads["t"].rows[0]: 4, expected an integer in [0, 4)'],
      [rows(-1), 'RangeError: GradAccumulator: grads["t"].rows[0]: -1, expected an integer in [0, 4)'],
      [
        { rows: Int32Array.of(0), values: f32(1) },
        'RangeError: GradAccumulator: grads["t"].values: rows of 1, expected 2, the columns of params["t"]',
      ],
      [
        new Float32Array(8),
        'RangeError: GradAccumulator: grads["t"]: a dense gradient, expected a sparse one, as before',
      ],
    ] as const)
      expect(thrown(() => sum.add({ t: bad }))).toBe(message);
    expect([...sum.grads.t.rows]).toEqual([1]);
    const dense = new GradAccumulator(new Float32Array(8), { order: 'tree' });
    dense.add(new Float32Array(8));
    expect(thrown(() => dense.add(rows(0)))).toBe(
      'RangeError: GradAccumulator: grads: a sparse gradient, expected a dense one, as before',
    );
  });
});

describe('a state that is loaded again', () => {
  const params = { w: new Float32Array(3), t: new Float32Array(4) };
  const grads = (i: number): object => ({ w: f32(i, 1 / i, -i), t: i % 3 === 0 ? null : rows(i % 2) });

  test.each([0, 1, 3, 6, 7])('continues with the same bits after %i batches', (count) => {
    const one = new GradAccumulator(params, { order: 'tree' });
    for (let i = 1; i <= count; i++) one.add(grads(i), { weight: i });
    const other = new GradAccumulator(params, { order: 'tree' });
    other.add(grads(2));
    other.loadStateDict(structuredClone(one.stateDict()));
    for (let i = 8; i < 13; i++) for (const sum of [one, other]) sum.add(grads(i), { weight: i });
    expect(other.grads).toEqual(one.grads);
    expect([other.count, other.weight]).toEqual([one.count, one.weight]);
  });

  test('weights of the order of the calls are saved too', () => {
    const one = new GradAccumulator(f32(1));
    one.add(f32(2), { weight: 0.5 });
    const other = new GradAccumulator(f32(1));
    other.loadStateDict(one.stateDict());
    other.add(f32(4), { weight: 2 });
    expect([[...other.grads], other.count, other.weight]).toEqual([[9], 2, 2.5]);
  });

  test('is refused if it does not fit, and nothing has changed', () => {
    const tree = new GradAccumulator(f32(1, 2), { order: 'tree' });
    tree.add(f32(1, 1));
    const state = tree.stateDict();
    const load = (change: object): string => thrown(() => tree.loadStateDict({ ...state, ...change }));
    const at = 'GradAccumulator.loadStateDict';
    expect(load({ order: 'sequential' })).toBe(`RangeError: ${at}: order: "sequential", expected "tree"`);
    expect(load({ count: 3 })).toBe(`RangeError: ${at}: weights: 1 entries, expected 2, as count says`);
    expect(load({ weights: undefined })).toBe(`TypeError: ${at}: weights: undefined, expected a list of 1`);
    expect(load({ sums: { 0: f32(1, 1) } })).toBe(`TypeError: ${at}: sums[0]: Float32Array(2), expected a list of 1`);
    expect(load({ sums: { 0: [f32(1)] } })).toBe(`RangeError: ${at}: sums[0][0]: length 1, expected 2`);
    const plain = new GradAccumulator(f32(1, 2));
    expect(thrown(() => plain.loadStateDict(state))).toBe(`RangeError: ${at}: order: "tree", expected "sequential"`);
    expect([...tree.grads]).toEqual([1, 1]);
  });

  test('is refused if memory runs out, and nothing has changed', () => {
    const full = new GradAccumulator({ a: f32(0), b: f32(0) }, { order: 'tree' });
    for (let i = 0; i < 3; i++) full.add({ a: f32(1), b: f32(1) });
    let left = 3; // the second run of `a` has memory, that of `b` has none
    const allocate = (length: number): Float32Array => {
      if (left-- === 0) throw new RangeError('no memory');
      return new Float32Array(length);
    };
    const tree = withEngine({ ...reference, allocate }, () => {
      return new GradAccumulator({ a: f32(0), b: f32(0) }, { order: 'tree' });
    });
    tree.add({ a: f32(9), b: f32(9) });
    expect(thrown(() => tree.loadStateDict(full.stateDict()))).toBe('RangeError: no memory');
    expect([tree.count, tree.grads.a, tree.grads.b]).toEqual([1, f32(9), f32(9)]);
  });
});
