// The example and the simulation of slow ranks, run as their first lines say.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launch } from '../../support/job.js';
import { root } from '../../support/root.js';

test('examples/distributed/sandblaster: digits are told apart, with the same bits on one and two ranks', {
  timeout: 300_000,
}, async () => {
  const file = join(root, 'examples', 'distributed', 'sandblaster.mjs');
  expect(readFileSync(file, 'utf8')).toMatch(/^\/\/ npx schuss launch -n 2 examples\/distributed\/sandblaster\.mjs$/m);
  const lines: string[] = [];
  for (const size of [1, 2]) {
    const { status, out, err } = await launch(['-n', `${size}`, file]);
    expect([status, err]).toEqual([0, '']);
    lines.push(out.trimEnd().split('\n').at(-1) as string);
  }
  expect(lines[1]).toBe(lines[0]);
  expect(Number(/\] (\d+) of 1000/.exec(lines[0]!)?.[1]), lines[0]).toBeGreaterThan(850);
});

test('bench/stragglers: a rank that is ten times slower gets few portions, and the others go on', {
  timeout: 300_000,
}, async () => {
  const { status, out, err } = await launch(['-n', '4', join(root, 'bench', 'stragglers', 'stragglers.mjs'), '6']);
  expect([status, err]).toEqual([0, '']);
  const counts = (run: string): number[] =>
    (new RegExp(`${run}.* portions by rank ([\\d, ]+);`).exec(out)?.[1] ?? '').split(', ').map(Number);
  expect(counts('slower: fixed parts'), out).toEqual([96, 96, 96, 96]);
  const [a, b, c, slow] = counts('slower: Sandblaster') as [number, number, number, number];
  expect(a + b + c + slow, out).toBeGreaterThanOrEqual(4 * 96);
  expect(slow, out).toBeLessThan(96 / 2);
  expect(out).toMatch(/the slow rank makes fixed parts [\d.]+ times slower, Sandblaster [\d.]+ times/);
});
