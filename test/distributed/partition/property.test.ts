// How arrays are cut, and the seeds of ranks.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partition, rankSeed } from '../../../lib/distributed/world/partition.js';

test('parts cover an array in order, begin at multiples of 16, and differ by at most one block', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 70 }), (length, size) => {
      const parts = partition(length, size);
      expect(parts).toHaveLength(size);
      let at = 0;
      for (const [begin, end] of parts) {
        expect(begin).toBe(at);
        expect(end).toBeGreaterThanOrEqual(begin);
        if (begin < length) expect(begin % 16).toBe(0);
        at = end;
      }
      expect(at).toBe(length);
      const blocks = parts.map(([begin, end]) => Math.ceil((end - begin) / 16));
      expect(blocks).toEqual(blocks.toSorted((a, b) => b - a)); // the first ranks have more
      expect(blocks[0]! - blocks.at(-1)!).toBeLessThanOrEqual(1);
    }),
  );
});

test('examples', () => {
  expect(partition(100, 3)).toEqual([
    [0, 48],
    [48, 80],
    [80, 100],
  ]);
  expect(partition(5, 2)).toEqual([
    [0, 5],
    [5, 5],
  ]);
  expect(partition(0, 2)).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

test('seeds are integers in [0, 2³²), pure, and different for every rank', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (base) => {
      const seeds = Array.from({ length: 300 }, (_, rank) => rankSeed(base, rank));
      expect(new Set(seeds).size).toBe(300);
      for (const [rank, seed] of seeds.entries()) {
        expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
        expect(rankSeed(base, rank)).toBe(seed);
      }
    }),
  );
});

test('bases above 2³² count, and neighbouring bases share no seeds of the first ranks', () => {
  expect(rankSeed(2 ** 40 + 7, 0)).not.toBe(rankSeed(7, 0));
  const seeds = Array.from({ length: 1000 }, (_, i) => rankSeed(Math.floor(i / 10), i % 10));
  expect(new Set(seeds).size).toBe(1000);
});
