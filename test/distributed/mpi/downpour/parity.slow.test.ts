// Downpour SGD in round-robin order under MPI: the bits and counts of worker threads.
import { describe, expect, test } from 'vitest';
import { type DownpourSettings, roundRobins } from '../../../support/distributed/programs.js';
import { job } from '../../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';

const settings: readonly DownpourSettings[] = [
  {},
  { fetchEvery: 3, pushEvery: 2 },
  { warmStart: 4 },
  { warmStart: 20 }, // more than the first worker pushes
  { fetchEvery: 4, maxStaleness: 5 },
  { servers: 2, fetchEvery: 2 },
  { length: 1_200_000, fetchEvery: 4 }, // a message in several pieces
];

describe.skipIf(mpi === undefined)(`round robin under MPI ${withoutMpi}`, () => {
  test.each([2, 3, 4])('%i ranks have the bits of as many threads', { timeout: 200_000 }, async (size) => {
    const code = roundRobins(settings);
    const [threads, processes] = [await job(size, code), await mpiJob(size, code)];
    expect([processes.status, processes.err]).toEqual([0, '']);
    expect(threads.status).toBe(0);
    expect(threads.said.map((list) => list.length)).toEqual(
      Array.from({ length: size }, (_, rank) => {
        const plans = settings.filter(({ servers = 1 }) => servers < size);
        return plans.length + plans.filter(({ servers = 1 }) => rank < servers).length;
      }),
    );
    expect(processes.said).toEqual(threads.said);
    // After each run all ranks have the same params.
    const params = processes.said.map((list) => list.filter(Array.isArray));
    for (const list of params) expect(list).toEqual(params[0]);
  });
});
