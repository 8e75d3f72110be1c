// How portions are dealt by messages: all of them, whatever comes late or twice, and the sum is that of the tree.
import { expect, test } from 'vitest';
import { type Branch, beginOf, Dealing, sizeOf } from '../../../lib/distributed/sandblaster/dealing.js';
import { treeSum } from '../../support/distributed/tree-sum.js';
import { random } from '../../support/random.js';

const gradOf = (portion: number): number[] => [1 / (portion + 1), -(portion ** 3), portion % 3 === 0 ? -0 : 1e-8];
const treeOf = (portions: readonly number[]): number[] =>
  treeSum(portions.map((portion) => gradOf(portion).map(Math.fround))) as number[];
const range = (begin: number, size: number): number[] => Array.from({ length: size }, (_, i) => begin + i);

test('any order of results, copies and repeats gives the sum of the tree, with few vectors', () => {
  for (let seed = 0; seed < 300; seed++) {
    const next = random(seed);
    const [portions, ranks] = [1 + Math.floor(70 * next()), 2 + Math.floor(5 * next())];
    const free: Float32Array[] = [];
    for (let evaluation = 0; evaluation < 2; evaluation++) {
      const dealing = new Dealing(portions, ranks, 3, free);
      const open: Branch[] = [];
      const computed = new Uint8Array(portions);
      for (let now = 0; dealing.total === undefined; now++) {
        const branch =
          next() < 0.2 ? dealing.dealLast() : next() < 0.7 ? dealing.deal(now, 3) : dealing.dealAgain(now, 1);
        if (branch !== undefined) open.push(branch);
        if (next() < 0.4 || open.length === 0) continue;
        const [done] = open.splice(Math.floor(next() * open.length), 1) as [Branch];
        const part = range(beginOf(done), sizeOf(done));
        for (const portion of part) computed[portion]!++;
        dealing.accept(done, part.length, Float32Array.from(treeOf(part)));
        if (next() < 0.1 && dealing.total === undefined)
          dealing.accept(done, part.length, Float32Array.from(treeOf(part)));
      }
      expect([...dealing.total!.grad]).toEqual(treeOf(range(0, portions)));
      expect(dealing.total!.loss).toBe(portions);
      expect(computed.every((count) => count === 1 || count === 2)).toBe(true);
      dealing.free();
      expect(new Set(free).size).toBe(free.length); // none was given back twice
    }
  }
});

test('branches shrink as less is left, each portion is dealt once, and again when it is late', () => {
  const dealing = new Dealing(64, 2, 1, []);
  const branches: Branch[] = [];
  for (let branch = dealing.deal(0, 0); branch !== undefined; branch = dealing.deal(0, 0)) branches.push(branch);
  expect(branches.flatMap((branch) => range(beginOf(branch), sizeOf(branch)))).toEqual(range(0, 64));
  expect(branches.map(sizeOf).slice(0, 3)).toEqual([16, 8, 8]);
  expect(sizeOf(branches.at(-1)!)).toBe(1);
  expect(dealing.dealLast()).toBe(undefined);
  // A portion of a short branch is due first.
  expect(dealing.nextDealAgain(10)).toBe(10);
  expect(dealing.dealAgain(9, 10)).toBe(undefined);
  const again = dealing.dealAgain(10, 10)!;
  expect(branches.filter((branch) => sizeOf(branch) === 1).map(beginOf)).toContain(beginOf(again));
  expect(dealing.dealAgain(10, 10)).not.toEqual(again);
  const all = range(0, 64).filter(() => dealing.dealAgain(1000, 10) !== undefined);
  expect(all.length).toBe(62); // two were dealt before, and none a third time
});
