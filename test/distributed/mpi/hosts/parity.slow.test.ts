// One rank on each of two hosts, over TCP: the bits of worker threads.
import { describe, expect, test } from 'vitest';
import { dataParallel } from '../../../support/distributed/programs.js';
import { job } from '../../../support/job.js';
import { mpi, mpiJob } from '../../../support/mpi-job.js';
import { twoHosts, withoutHosts } from '../../../support/two-hosts.js';

describe.skipIf(withoutHosts !== '')(`two hosts ${withoutHosts}`, () => {
  test('DataParallel has the bits of worker threads, and its sums went over the wire', async () => {
    // One epoch: over TCP a message takes long on a busy machine.
    const program = dataParallel().replace('epoch < 2', 'epoch < 1');
    const code = `
      import { readFileSync } from 'node:fs';
      import { hostname } from 'node:os';
      ${program}
      const received = () => Number(/hosts: *(\\d+)/.exec(readFileSync('/proc/net/dev', 'utf8'))?.[1]);
      say([hostname(), process.env.LOCAL_WORLD_SIZE, received()]);`;
    const threads = await job(2, code);
    const { said, status, err } = await mpiJob(2, code, { mpirun: twoHosts(mpi!) });
    expect([status, err]).toEqual([0, '']);
    expect(threads.said[0]).toHaveLength(2);
    for (const rank of [0, 1]) {
      expect(said[rank]![0]).toEqual(threads.said[rank]![0]);
      const [host, localSize, bytes] = said[rank]![1] as [string, string, number];
      expect([host, localSize]).toEqual([`host${rank + 1}`, '1']);
      // Four classes make two steps each. For the sum of a gradient a rank gets as many bytes as that has.
      expect(bytes).toBeGreaterThan(4 * 2 * 4 * 20_000);
    }
  });
});
