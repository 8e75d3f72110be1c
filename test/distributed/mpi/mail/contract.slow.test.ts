// Messages between processes when the world closes: nobody waits for ever.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { joined } from '../../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';
import { root } from '../../../support/root.js';

describe.skipIf(mpi === undefined)(`mail under MPI ${withoutMpi}`, () => {
  test('a call that waits while the world closes is an Error, and so is a later one', async () => {
    const code = `
      import module from '${pathToFileURL(join(root, 'dist', 'distributed', 'world', 'own-world.js')).href}';
      ${joined}
      const { mail } = module.OwnWorld.transportOf(world);
      const other = (world.rank + 1) % world.size;
      const waiting = attempt(() => mail.receive(other));
      await world.close();
      const later = [() => mail.receive(other), () => mail.handedOver(other), () => mail.send(other, 1, [], [])];
      say([await waiting, ...(await Promise.all(later.map(attempt)))]);`;
    const { said, status, err } = await mpiJob(3, code);
    expect([status, err]).toEqual([0, '']);
    expect(said).toEqual(Array(3).fill([Array(4).fill('Error: World: the world is closed')]));
  });
});
