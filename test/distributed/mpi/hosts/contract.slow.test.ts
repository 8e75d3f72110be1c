// A network that is cut between two hosts: the deadline fires, and the supervisor ends a launcher of MPI that hangs.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import manifest from '../../../../package.json';
import { started } from '../../../support/job.js';
import { mpi, mpiJob } from '../../../support/mpi-job.js';
import { root } from '../../../support/root.js';
import { twoHosts, withoutHosts } from '../../../support/two-hosts.js';

describe.skipIf(withoutHosts !== '')(`two hosts ${withoutHosts}`, () => {
  test('a cut network: TimeoutError, and schuss launch ends the job although mpirun may not', async () => {
    const code = `
      import { execFileSync } from 'node:child_process';
      ${started}
      if (world.rank === 0) execFileSync('ip', ['link', 'set', 'hosts', 'down']);
      say(await attempt(() => world.allReduce(new Float32Array(100_000), { timeout: 1000 })));`;
    const mpirun = [process.execPath, join(root, manifest.bin.schuss), 'launch', '--', ...twoHosts(mpi!)];
    const { said, status, lastLine } = await mpiJob(2, code, { mpirun });
    expect(said[0]).toEqual(['TimeoutError: World: allReduce #2: rank 1 did not come within 1000 ms']);
    // Each misses the other, and may be the first to say so.
    expect(lastLine).toMatch(
      /^schuss launch: rank [01] failed: exit code 71: TimeoutError: World: allReduce #2: rank [01] did not come within 1000 ms$/,
    );
    expect(status).toBe(71);
  });
});
