// Reductions over worker threads against sums that are written anew here, in the order of the contract.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { job, joined } from '../../support/job.js';
import { all, sample } from '../../support/sample.js';

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;
const types = { Float32Array, Float64Array, Int32Array, Uint8Array };
type Type = keyof typeof types;

/** Element i of a rank's array: of many magnitudes, so that another order of a sum has other bits. */
function value(rank: number, i: number): number {
  let h = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(rank + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h ^= h >>> 13;
  return ((h >>> 0) / 2 ** 31 - 1) * 2 ** (h & 31);
}

const array = (type: Type, rank: number, length: number): Numbers =>
  new types[type](Array.from({ length }, (_, i) => value(rank, i)));

/** Rounds as the type stores. */
const store = (type: Type, x: number): number => new types[type]([x])[0]!;

/** One element of all ranks, reduced: halves of neighbours first. */
function reduce(type: Type, op: string, values: readonly number[]): number {
  const pick: Record<string, (a: number, b: number) => number> = {
    max: (a, b) => Math.max(a, b),
    min: (a, b) => Math.min(a, b),
  };
  const two = pick[op] ?? ((a: number, b: number) => a + b);
  let round = [...values];
  while (round.length > 1)
    round = Array.from({ length: Math.ceil(round.length / 2) }, (_, i) => {
      const [a, b] = [round[2 * i]!, round[2 * i + 1]];
      return b === undefined ? a : store(type, two(a, b));
    });
  return op === 'mean' ? store(type, round[0]! / values.length) : round[0]!;
}

function reduced(type: Type, op: string, size: number, length: number): Numbers {
  const all = Array.from({ length: size }, (_, rank) => array(type, rank, length));
  return new types[type](
    Array.from({ length }, (_, i) =>
      reduce(
        type,
        op,
        all.map((x) => x[i]!),
      ),
    ),
  );
}

const digest = (x: Numbers): string =>
  createHash('sha256')
    .update(new Uint8Array(x.buffer, x.byteOffset, x.byteLength))
    .digest('hex');

const cases: [Type, string][] = [
  ['Float32Array', 'sum'],
  ['Float32Array', 'mean'],
  ['Float32Array', 'max'],
  ['Float64Array', 'sum'],
  ['Float64Array', 'mean'],
  ['Int32Array', 'sum'],
  ['Int32Array', 'min'],
  ['Uint8Array', 'sum'],
];
const lengths = [0, 1, 15, 17, 100, 1003];

const script = `${joined}
const types = { Float32Array, Float64Array, Int32Array, Uint8Array };
${value.toString()}
const fill = (x, r) => { for (let i = 0; i < x.length; i++) x[i] = value(r, i); return x; };
const { rank } = world;
for (const [type, op] of ${JSON.stringify(cases)})
  for (const length of ${JSON.stringify(lengths)}) {
    const x = fill(new types[type](length), rank);
    await world.allReduce(x, { op });
    const y = fill(new types[type](new SharedArrayBuffer(8 * length + 64), 16, length), rank);
    world.allReduceSync(y, { op });
    const z = fill(new types[type](length), rank);
    const part = await world.reduceScatter(z, { op });
    const w = fill(new types[type](length), rank);
    const [begin, end] = world.partition(length)[rank];
    const same = digest(part) === digest(world.reduceScatterSync(w, { op })) && part.length === end - begin;
    say([digest(x), digest(y), digest(part), same]);
  }
`;

// Five ranks tell the orders apart, and divide by no power of two.
describe.each(all ? [1, 2, 3, 4, 5, 7] : [2, 5])('%i ranks', (size) => {
  test('sum, mean, max and min have the bits of the order, in all types, blocking or not', async () => {
    const { status, said, err } = await job(size, script);
    expect(err).toBe('');
    expect(status).toBe(0);
    const blocks = (n: number): number => Math.ceil(n / 16);
    const want = Array.from({ length: size }, (_, rank) =>
      cases.flatMap(([type, op]) =>
        lengths.map((length) => {
          const sums = reduced(type, op, size, length);
          const first = (r: number): number =>
            Array.from({ length: r }, (_, k) => 16 * Math.ceil((blocks(length) - k) / size)).reduce((a, b) => a + b, 0);
          const part = sums.slice(Math.min(length, first(rank)), Math.min(length, first(rank + 1)));
          return [digest(sums), digest(sums), digest(part), true];
        }),
      ),
    );
    expect(said).toEqual(want);
  });
});

test('the order matters for these values: a plain sum from rank 0 on has other bits', () => {
  const x = reduced('Float32Array', 'sum', 5, 1003);
  const plain = new Float32Array(1003);
  for (let rank = 0; rank < 5; rank++) for (let i = 0; i < 1003; i++) plain[i]! += value(rank, i);
  expect(digest(plain)).not.toBe(digest(x));
});

const long = (1 << 20) + 12_345; // more than a box of 4 MB

test.each(sample([3, 2], 1))('arrays longer than a mail box: %i ranks', async (size) => {
  const code = `${joined}
    ${value.toString()}
    const fill = (x, r) => { for (let i = 0; i < x.length; i++) x[i] = value(r, i); return x; };
    const { rank, size } = world;
    const x = await world.allReduce(fill(new Float32Array(${long}), rank));
    const part = await world.reduceScatter(fill(new Float32Array(${long}), rank));
    const y = fill(new Float32Array(${long}), 99);
    const [begin, end] = world.partition(${long})[rank];
    for (let i = 0; i < y.length; i++) if (i < begin || i >= end) y[i] = 0;
    await world.allGather(y);
    const z = await world.broadcast(fill(new Float32Array(${long}), rank), { root: 1 });
    const bytes = new Uint8Array(rank === 0 ? 9_000_000 : 10 * rank).fill(rank + 1);
    const list = await world.allGatherObject(bytes);
    say([digest(x), digest(part) === digest(x.subarray(begin, end)), digest(y), digest(z), list.map((b) => [b.length, b.at(-1)])]);`;
  const { said, err } = await job(size, code);
  expect(err).toBe('');
  const lists = Array.from({ length: size }, (_, rank) => [rank === 0 ? 9_000_000 : 10 * rank, rank + 1]);
  const one = [
    digest(reduced('Float32Array', 'sum', size, long)),
    true,
    digest(array('Float32Array', 99, long)),
    digest(array('Float32Array', 1, long)),
    lists,
  ];
  expect(said).toEqual(Array.from({ length: size }, () => [one]));
});

test('max and min let NaN through from any rank, and integer sums wrap', async () => {
  const code = `${joined}
    const x = (op) => world.allReduceSync(Float32Array.of(world.rank === 1 ? NaN : 5, world.rank, -world.rank), { op });
    const i = await world.allReduce(Int32Array.of(2 ** 31 - 1));
    say([...x('max'), ...x('min')].map(String).concat([...i, ...(await world.allReduce(Uint8Array.of(200)))]));`;
  const { said } = await job(3, code);
  const want = ['NaN', '2', '0', 'NaN', '0', '-2', 2 ** 31 - 3, 600 % 256];
  expect(said).toEqual([[want], [want], [want]]);
});

test('all to all: each part goes to its rank, also where it takes several turns', async () => {
  const mark = (from: number, to: number): number => 16 * from + to + 1;
  for (const each of [16, 1_600_000])
    await onRanks(3, async (world) => {
      const x = new Uint8Array(3 * each);
      for (let to = 0; to < 3; to++) x.fill(mark(world.rank, to), to * each, (to + 1) * each);
      await OwnWorld.allToAll(world as OwnWorld, x);
      for (let from = 0; from < 3; from++) {
        const expected = new Uint8Array(each).fill(mark(from, world.rank));
        expect(Buffer.compare(x.subarray(from * each, (from + 1) * each), expected)).toBe(0);
      }
    });
});
