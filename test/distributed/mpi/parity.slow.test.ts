// The programs of worker threads under MPI: the same bits at the same number of ranks.
import { describe, expect, test } from 'vitest';
import { allKinds, dataParallel, randomSums } from '../../support/distributed/programs.js';
import { job } from '../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../support/mpi-job.js';

describe.skipIf(mpi === undefined)(`MPI has the bits of worker threads ${withoutMpi}`, () => {
  test.each([
    ['collectives of all kinds', 2, allKinds],
    ['collectives of all kinds', 4, allKinds],
    ['random sums', 3, randomSums],
    ['compressed gradients', 4, dataParallel('bf16')],
  ])('%s, %i ranks', async (_, size, code) => {
    const [threads, processes] = [await job(size, code), await mpiJob(size, code)];
    expect([processes.status, processes.err]).toEqual([0, '']);
    expect(threads.said.flat().length).toBeGreaterThan(0);
    expect(processes.said).toEqual(threads.said);
  });

  test('DataParallel: one digest at 1, 2 and 4 ranks, that of a world of one', async () => {
    const alone = await job(1, dataParallel());
    expect(alone.said[0]).toHaveLength(1);
    for (const size of [1, 2, 4]) {
      // mpirun -np 1 starts a world of one, which needs no MPI: here it is to be one of MPI.
      const { said, status, err } = await mpiJob(size, dataParallel(), { env: { SCHUSS_TRANSPORT: 'mpi' } });
      expect([status, err]).toEqual([0, '']);
      expect(said).toEqual(Array.from({ length: size }, () => alone.said[0]));
    }
  });
});
