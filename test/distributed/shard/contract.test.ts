// shardIndices and shardBatches: every wrong argument is refused, in the library's error shape.
import { expect, test } from 'vitest';
import * as batches from '../../../lib/distributed/shard-batches.js';
import * as indices from '../../../lib/distributed/shard-indices.js';
import { thrown } from '../../support/bad-input.js';

// biome-ignore lint/suspicious/noExplicitAny: the tests pass values that TypeScript refuses
const { shardIndices, shardBatches } = { ...indices, ...batches } as any;

const alone = { rank: 0, size: 1 };
const four = { rank: 3, size: 4 };

test.each([
  [[-1, alone, { epoch: 0 }], 'RangeError: shardIndices: n: -1, expected an integer in [0, 2147483647]'],
  [['10', alone, { epoch: 0 }], 'TypeError: shardIndices: n: "10", expected an integer in [0, 2147483647]'],
  [[10, undefined, { epoch: 0 }], 'TypeError: shardIndices: world: undefined, expected a world or { rank, size }'],
  [[10, { rank: 0 }, { epoch: 0 }], 'TypeError: shardIndices: world.size: undefined, expected an integer in [1, inf)'],
  [[10, { rank: 4, size: 4 }, { epoch: 0 }], 'RangeError: shardIndices: world.rank: 4, expected an integer in [0, 4)'],
  [
    [10, alone],
    'TypeError: shardIndices: epoch: undefined, expected the number of the epoch (without it every epoch has the same order; { shuffle: false } keeps the order of the data)',
  ],
  [[10, alone, { epoch: -1 }], 'RangeError: shardIndices: epoch: -1, expected an integer in [0, 9007199254740991]'],
  [
    [10, alone, { epoch: 0, seed: 0.5 }],
    'RangeError: shardIndices: seed: 0.5, expected an integer in [-9007199254740991, 9007199254740991]',
  ],
  [[10, alone, { epoch: 0, shuffle: 1 }], 'TypeError: shardIndices: shuffle: 1, expected true or false'],
  [
    [10, alone, { epochs: 0 }],
    'TypeError: shardIndices: epochs: unknown option, expected epoch (it has seed, epoch, shuffle)',
  ],
])('shardIndices refuses %j', (args, message) => {
  expect(thrown(() => shardIndices(...args))).toBe(message);
});

test.each([
  [{ epoch: 0 }, 'TypeError: shardBatches: batch: undefined, expected an integer in [1, 2147483647]'],
  [{ epoch: 0, batch: 0 }, 'RangeError: shardBatches: batch: 0, expected an integer in [1, 2147483647]'],
  [
    { batch: 4, microBatches: 6, epoch: 0 },
    'RangeError: shardBatches: microBatches: 6, expected 4 (the world size) times a power of two',
  ],
  [
    { batch: 4, microBatches: 12, epoch: 0 },
    'RangeError: shardBatches: microBatches: 12, expected 4 (the world size) times a power of two',
  ],
  [{ batch: 4, dropLast: 'no', epoch: 0 }, 'TypeError: shardBatches: dropLast: "no", expected true or false'],
  [
    { batch: 4 },
    'TypeError: shardBatches: epoch: undefined, expected the number of the epoch (without it every epoch has the same order; { shuffle: false } keeps the order of the data)',
  ],
  [
    { batch: 4, epoch: 0, drop_last: true },
    'TypeError: shardBatches: drop_last: unknown option, expected dropLast (it has batch, microBatches, seed, epoch, shuffle, dropLast)',
  ],
])('shardBatches refuses %j at the call', (options, message) => {
  expect(thrown(() => shardBatches(10, four, options))).toBe(message);
});

test('a world of one takes any number of micro-batches', () => {
  expect([...shardBatches(6, alone, { batch: 6, microBatches: 3, shuffle: false })]).toEqual([
    [Int32Array.of(0, 1), Int32Array.of(2, 3), Int32Array.of(4, 5)],
  ]);
});
