// SandblasterLBFGS under MPI: portions go to whoever is free, with the bits of any other number of ranks; faults.
import { describe, expect, test } from 'vitest';
import { hanging, latePortion, regression, throwing, two } from '../../../support/distributed/sandblaster.js';
import { job } from '../../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';

interface Run {
  readonly results: unknown;
  readonly bits: string;
  readonly truth: unknown;
  readonly bitsOfTruth: string;
}

describe.skipIf(mpi === undefined)(`under MPI ${withoutMpi}`, () => {
  test('one digest at 2, 3 and 4 ranks, that of one process', { timeout: 300_000 }, async () => {
    const alone = (await job(1, regression)).said[0] as Run[];
    expect(alone.length).toBe(2);
    for (const size of [2, 3, 4]) {
      const { said, status, err } = await mpiJob(size, regression);
      expect([status, err]).toEqual([0, '']);
      expect(said.length).toBe(size);
      for (const runs of said as Run[][]) {
        expect(runs).toEqual(alone);
        for (const run of runs) expect([run.results, run.bits]).toEqual([run.truth, run.bitsOfTruth]);
      }
    }
  });

  test('a portion that is late is computed by a second rank, and counts once', async () => {
    const { said, status } = await mpiJob(2, latePortion);
    expect(status).toBe(0);
    const [fast, late] = said.map(([run]) => run as { mine: number[]; loss: number; x: number });
    expect([late!.loss, late!.x]).toEqual([fast!.loss, fast!.x]);
    // Rank 0 has computed all portions of the first evaluation, among them the one that rank 1 had.
    expect(fast!.mine.slice(0, 8).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(fast!.mine.slice(0, 8)).toContain(late!.mine[0]);
  });

  test('two in one world take steps by turns, and at the same time', async () => {
    const [losses] = (await job(1, two)).said[0] as [number[]];
    expect(losses.length).toBe(20);
    const { said, status, err } = await mpiJob(3, two);
    expect([status, err]).toEqual([0, '']);
    expect(said).toEqual(Array(3).fill([losses]));
  });

  test('f throws on one rank: RankError on the others, and its exit code', async () => {
    const { said, status, err } = await mpiJob(3, throwing);
    expect(status).toBe(1);
    expect(err).toContain('rank 2: Error: on purpose');
    const error = { name: 'RankError', rank: 2, exitCode: 1, message: 'World: rank 2: Error: on purpose' };
    expect(said).toEqual([[error], [error], [{ name: 'Error', message: 'on purpose' }]]);
  });

  test('f never ends on one rank: the others go on, until TimeoutError names it', async () => {
    const { said, status } = await mpiJob(2, hanging, { env: { SCHUSS_DIST_TIMEOUT: '1500' } });
    expect(said[0]).toEqual([{ name: 'TimeoutError', ranks: [1] }]);
    expect(status).toBe(3);
  });
});
