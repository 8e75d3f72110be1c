// GradAccumulator with order 'tree' against a tree sum written separately.
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../../../lib/engine/backend.js';
import { referenceEngine } from '../../../../lib/engine/reference.js';
import { SGD } from '../../../../lib/optimizers/index.js';
import { GradAccumulator } from '../../../../lib/training/index.js';
import { type Part, treeSum, weighted } from '../../../support/distributed/tree-sum.js';
import { random } from '../../../support/random.js';

const bits = (x: Part | Float32Array): string[] | null =>
  x === null ? null : Array.from(x, (v) => (Object.is(v, -0) ? '-0' : String(v)));

/** Gradients over twelve decades, with some −0 and some nulls. */
function leaves(count: number, length: number, seed: number): { grad: Float32Array | null; weight: number }[] {
  const next = random(seed);
  return Array.from({ length: count }, () => ({
    grad:
      next() < 0.2
        ? null
        : Float32Array.from({ length }, () => (next() < 0.1 ? -0 : (next() - 0.5) * 10 ** Math.floor(12 * next() - 6))),
    weight: [1, 0, 3, 0.1, 256][Math.floor(next() * 5)] as number,
  }));
}

describe.each(['native', 'js'])('%s', (name) => {
  const accumulate = (length: number) => {
    const make = () => new GradAccumulator([new Float32Array(length)] as const, { order: 'tree' });
    return name === 'js' ? withEngine(referenceEngine, make) : make();
  };
  const run = (action: () => void): void => (name === 'js' ? withEngine(referenceEngine, action) : action());

  test('the sum of any number of weighted batches is that of the tree', () => {
    run(() => {
      for (let count = 1; count <= 21; count++) {
        const sum = accumulate(37);
        const all = leaves(count, 37, count);
        for (const [i, { grad, weight }] of all.entries()) {
          sum.add([grad], { weight });
          const soFar = all.slice(0, i + 1).map((leaf) => weighted(leaf.grad && [...leaf.grad], leaf.weight));
          expect(bits(sum.grads[0] as Float32Array | null)).toEqual(bits(treeSum(soFar)));
        }
        expect(sum.count).toBe(count);
        const weights = all.map(({ weight }) => weight);
        const tree = treeSum(
          weights.map((weight) => [weight]),
          (x) => x,
        ) as readonly number[];
        expect(sum.weight).toBe(tree[0]); // in float64
      }
    });
  });
});

test('the order is not that of the calls', () => {
  const sequence = new GradAccumulator(new Float32Array(1));
  const tree = new GradAccumulator(new Float32Array(1), { order: 'tree' });
  for (const x of [1, 2 ** -24, 2 ** -24, 2 ** -24]) for (const sum of [sequence, tree]) sum.add(Float32Array.of(x));
  expect((sequence.grads as Float32Array)[0]).toBe(1);
  expect((tree.grads as Float32Array)[0]).toBe(1 + 2 ** -23);
});

test('a null gradient adds nothing, not even +0 to −0', () => {
  const sum = new GradAccumulator(new Float32Array(2), { order: 'tree' });
  sum.add(null);
  sum.add(Float32Array.of(-0, 5));
  sum.add(Float32Array.of(Number.NaN, 1), { weight: 0 });
  expect(bits(sum.grads as Float32Array)).toEqual(['-0', '5']);
});

test('sparse gradients: a repeated row is summed in the order given, then rows by the tree, as dense ones are', () => {
  const next = random(9);
  const [rows, columns] = [6, 3];
  for (let count = 1; count <= 9; count++) {
    const sparse = new GradAccumulator(new Float32Array(rows * columns), { order: 'tree' });
    const parts: Part[][] = Array.from({ length: rows }, () => []);
    for (let leaf = 0; leaf < count; leaf++) {
      const given = Int32Array.from({ length: Math.floor(next() * 8) }, () => Math.floor(next() * rows));
      const values = Float32Array.from({ length: given.length * columns }, () => (next() - 0.5) * 10 ** (6 * next()));
      const weight = 1 + Math.floor(next() * 3);
      sparse.add({ rows: given, values }, { weight });
      for (let row = 0; row < rows; row++) {
        const own = [...given].flatMap((r, i) =>
          r === row ? [[...values.subarray(i * columns, (i + 1) * columns)]] : [],
        );
        const sum = own.length === 0 ? null : own.reduce((a, b) => a.map((x, j) => Math.fround(x + (b[j] as number))));
        parts[row]!.push(weighted(sum, weight));
      }
    }
    const found = sparse.grads as { rows: Uint32Array; values: Float32Array };
    const truth = parts.map((part) => treeSum(part));
    expect([...found.rows]).toEqual(truth.flatMap((part, row) => (part === null ? [] : [row])));
    expect([...found.values]).toEqual(truth.flatMap((part) => part ?? []));
  }
});

test('a step with the weighted mean of uneven batches is that of the whole batch', () => {
  const w = Float32Array.of(1);
  const sum = new GradAccumulator(w, { order: 'tree' });
  sum.add(Float32Array.of(2), { weight: 3 }); // the mean of three examples
  sum.add(Float32Array.of(6), { weight: 1 });
  new SGD(w, { lr: 0.5 }).step(sum.grads, { gradScale: 1 / sum.weight });
  expect(w[0]).toBe(1 - 0.5 * 3);
});

test('it keeps log₂(count) + 1 arrays at most', () => {
  const sum = new GradAccumulator(new Float32Array(1), { order: 'tree' });
  for (let i = 0; i < 1000; i++) sum.add(Float32Array.of(1));
  const { sums } = sum.stateDict();
  expect((sums['0'] as readonly unknown[]).length).toBe(6); // 1000 has six ones
  expect((sum.grads as Float32Array)[0]).toBe(1000);
});
