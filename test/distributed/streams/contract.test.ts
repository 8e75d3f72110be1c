// The streams of what each rank has in many arrays: when they are made anew.
import { expect, test } from 'vitest';
import { type Owned, Streams } from '../../../lib/distributed/gradients/stream.js';
import { partition } from '../../../lib/distributed/world/partition.js';

test('streams are kept while memory and ranges stay, and made anew where any of them is another', () => {
  const memory = new Float32Array(100);
  const [ranges, others] = [partition(40, 2), partition(30, 2)];
  const list = (...begins: number[]): Owned[] =>
    begins.map((begin) => ({ array: memory.subarray(begin, begin + 40), ranges }));
  const streams = new Streams(2);
  const first = streams.of(list(0, 40));
  expect(first.map(({ length }) => length)).toEqual([64, 16]);
  expect(streams.of(list(0, 40))).toBe(first); // other views of the same memory
  const lists: Owned[][] = [
    list(0),
    list(40, 0),
    list(0, 48),
    [...list(0), { array: memory.subarray(40, 80), ranges: others }],
    [...list(0), { array: memory.slice(40, 80), ranges }],
    [...list(0), { array: memory.subarray(40, 79), ranges }],
    list(),
    list(0, 40),
  ];
  let before = first;
  for (const all of lists) {
    const now = streams.of(all);
    expect(now).not.toBe(before);
    const seen = now.flatMap((stream) => {
      const arrays: Float32Array[] = [];
      stream.visit(0, stream.length, ({ array }) => arrays.push(array));
      return arrays;
    });
    expect(seen.every((array) => all.some((owned) => owned.array === array))).toBe(true);
    expect(now.map(({ length }) => length)).toEqual(
      [0, 1].map((rank) => all.reduce((sum, owned) => sum + owned.ranges[rank]![1] - owned.ranges[rank]![0], 0)),
    );
    before = now;
  }
});

test('what a list has besides is compared as its user wants it', () => {
  const [array, ranges] = [new Float32Array(4), partition(4, 1)];
  const streams = new Streams<Owned & { readonly residual: object }>(1, (a, b) => a.residual === b.residual);
  const residual = {};
  const first = streams.of([{ array, ranges, residual }]);
  expect(streams.of([{ array, ranges, residual }])).toBe(first);
  expect(streams.of([{ array, ranges, residual: {} }])).not.toBe(first);
});
