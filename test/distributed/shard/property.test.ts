// shardIndices and shardBatches: laws that hold for any number of examples, ranks and parts.
import { expect, test } from 'vitest';
import { shardBatches } from '../../../lib/distributed/shard-batches.js';
import { shardIndices } from '../../../lib/distributed/shard-indices.js';
import { random } from '../../support/random.js';

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

test('every index is in exactly one rank, and lengths differ by at most 1', () => {
  const next = random(1);
  for (let round = 0; round < 60; round++) {
    const [n, size] = [Math.floor(next() * 100), 1 + Math.floor(next() * 9)];
    const options = { seed: round, epoch: Math.floor(next() * 5) };
    const parts = upTo(size).map((rank) => shardIndices(n, { rank, size }, options));
    expect(sorted(parts.flatMap((part) => [...part]))).toEqual(upTo(n));
    const lengths = parts.map(({ length }) => length);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
    // One after the other, the parts are the order of one rank.
    expect(parts.flatMap((part) => [...part])).toEqual([...shardIndices(n, { rank: 0, size: 1 }, options)]);
  }
});

test('the order depends on n, seed and epoch, and is that of the data without shuffle', () => {
  const alone = { rank: 0, size: 1 };
  const order = (seed: number, epoch: number): number[] => [...shardIndices(50, alone, { seed, epoch })];
  expect(order(1, 2)).toEqual(order(1, 2));
  expect([order(1, 3), order(2, 2), upTo(50)]).not.toContainEqual(order(1, 2));
  expect([...shardIndices(50, alone, { shuffle: false })]).toEqual(upTo(50));
});

test('each index comes first equally often', () => {
  const counts = new Array<number>(8).fill(0);
  for (let epoch = 0; epoch < 4000; epoch++)
    counts[shardIndices(8, { rank: 0, size: 1 }, { epoch })[0] as number]! += 1;
  // 500 each; the standard deviation is 21.
  for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(105);
});

test('the parts of a batch are the same for every number of ranks, cut at ⌊q·B/microBatches⌋', () => {
  const next = random(2);
  for (let round = 0; round < 40; round++) {
    const [n, batch, microBatches] = [Math.floor(next() * 200), 1 + Math.floor(next() * 50), 8];
    const options = { batch, microBatches, seed: round, epoch: 3, dropLast: round % 4 === 0 };
    const end = options.dropLast ? n - (n % batch) : n;
    const order = [...shardIndices(n, { rank: 0, size: 1 }, epochOf(options))].slice(0, end);
    const truth: number[][][] = [];
    for (let begin = 0; begin < end; begin += batch) {
      const B = Math.min(batch, end - begin);
      const cut = (q: number): number => begin + Math.floor((q * B) / microBatches);
      truth.push(upTo(microBatches).map((q) => order.slice(cut(q), cut(q + 1))));
    }
    for (const size of [1, 2, 4, 8]) {
      const ranks = upTo(size).map((rank) => [...shardBatches(n, { rank, size }, options)]);
      for (const steps of ranks) expect(steps.length).toBe(truth.length);
      const global = truth.map((_, b) => ranks.flatMap((steps) => steps[b]!.map((part) => [...part])));
      expect(global).toEqual(truth);
    }
  }
});

function epochOf({ seed, epoch }: { seed: number; epoch: number }): { seed: number; epoch: number } {
  return { seed, epoch };
}

test('batches may be walked twice, and a caller may write to its parts', () => {
  const batches = shardBatches(10, { rank: 1, size: 2 }, { batch: 4, epoch: 0 });
  const first = [...batches].map((parts) => parts.map((part) => [...part]));
  for (const [part] of batches) part!.fill(-1);
  expect([...batches].map((parts) => parts.map((part) => [...part]))).toEqual(first);
});

test('microBatches are those of the world by default: one part a rank', () => {
  expect([...shardBatches(7, { rank: 2, size: 3 }, { batch: 7, shuffle: false })]).toEqual([[Int32Array.of(4, 5, 6)]]);
});
