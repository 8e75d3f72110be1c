// SandblasterLBFGS over real threads: one digest at any number of ranks, slow ranks, and faults.
import { expect, test } from 'vitest';
import { hanging, latePortion, regression, throwing } from '../../support/distributed/sandblaster.js';
import { job } from '../../support/job.js';

interface Run {
  readonly results: readonly { readonly evaluations: number }[];
  readonly bits: string;
  readonly truth: unknown;
  readonly bitsOfTruth: string;
}

test('one digest at 1, 2, 3 and 4 ranks, that of a plain LBFGS over the sum', { timeout: 300_000 }, async () => {
  const all = [new Set<string>(), new Set<string>()];
  for (const size of [1, 2, 3, 4]) {
    const { said, status, err } = await job(size, regression);
    expect([status, err]).toEqual([0, '']);
    expect(said.length).toBe(size);
    for (const runs of said as Run[][])
      for (const [i, run] of runs.entries()) {
        expect(run.results).toEqual(run.truth);
        expect(run.bits).toBe(run.bitsOfTruth);
        expect(run.results[0]!.evaluations).toBeGreaterThan(8); // more than are kept
        all[i]!.add(run.bits);
      }
  }
  expect(all.map(({ size }) => size)).toEqual([1, 1]);
});

test('a portion that is late is computed by a second rank, and counts once', async () => {
  const { said, status } = await job(2, latePortion);
  expect(status).toBe(0);
  const [fast, late] = said.map(([run]) => run as { mine: number[]; loss: number; x: number });
  expect(late!.loss).toBe(fast!.loss);
  expect(late!.x).toBe(fast!.x);
  // Rank 0 has computed all portions of the first evaluation, among them the one that rank 1 had.
  expect(fast!.mine.slice(0, 8).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(fast!.mine.slice(0, 8)).toContain(late!.mine[0]);
});

test('f throws on one rank: RankError on the others, and its exit code', async () => {
  const { said, status, lastLine } = await job(3, throwing);
  expect(status).toBe(1);
  expect(lastLine).toBe('schuss launch: rank 2 failed: exit code 1: Error: on purpose');
  for (const rank of [0, 1])
    expect(said[rank]).toEqual([
      { name: 'RankError', rank: 2, exitCode: 1, message: 'World: rank 2: Error: on purpose' },
    ]);
  expect(said[2]).toEqual([{ name: 'Error', message: 'on purpose' }]);
});

test('f never ends on one rank: the others go on, until TimeoutError names it', async () => {
  const { said, status } = await job(2, hanging, { options: ['--timeout', '1500'] });
  expect(said[0]).toEqual([{ name: 'TimeoutError', ranks: [1] }]);
  expect(status).toBe(3);
});
