// How a job ends, and what it prints: exit codes, one line for each rank that only learnt of another's end.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { job, joined, launch, started } from '../../support/job.js';
import { root } from '../../support/root.js';

test('a rank that ends with a code of its own, while others wait for it, decides the code', async () => {
  const code = `${started}
    if (world.rank === 1) { process.exitCode = 4; process.on('exit', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)); }
    else await world.barrier();`;
  const { status, lastLine } = await job(2, code);
  expect(lastLine).toBe('schuss launch: rank 1 failed: exit code 4: left the job without taking part in barrier #2');
  expect(status).toBe(4);
});

test('a rank that throws is one line on the others, with the place of their call', async () => {
  const code = `${joined}
    if (world.rank === 1) throw new Error('no memory');
    await world.barrier();`;
  const { status, err } = await job(3, code);
  const lines = err.split('\n');
  for (const rank of [0, 2]) {
    const own = lines.filter((line) => line.startsWith(`[${rank}] `));
    expect(own).toEqual([
      expect.stringMatching(/^\[\d\] RankError: World: rank 1: Error: no memory \(at script\.mjs:\d+:\d+\)$/),
    ]);
  }
  expect(lines.filter((line) => line.startsWith('[1] ')).length).toBeGreaterThan(1); // its own error has its stack
  expect(status).toBe(1);
});

test('where every worker is lost, the job fails with the code of the first', async () => {
  const lib = pathToFileURL(join(root, 'dist')).href;
  const code = `
    import { SGD } from '${lib}/index.mjs';
    import { DownpourWorker, ParameterServer } from '${lib}/distributed/index.mjs';
    ${started}
    const w = new Float32Array(1);
    if (world.rank === 0) {
      const { lost } = await new ParameterServer(world, w, { optimizer: (part) => new SGD(part, { lr: 1 }) }).serve();
      say(lost);
    } else {
      const worker = new DownpourWorker(world, w, { lr: 1 });
      await worker.fetch();
      if (process.argv[2] !== 'one' || world.rank === 1) throw new Error('a slip');
      await worker.close();
    }`;
  const all = await job(3, code);
  expect(all.said[0]).toEqual([[1, 2]]);
  expect(all.lastLine).toMatch(/^schuss launch: rank [12] failed: exit code 1: Error: a slip$/);
  expect(all.status).toBe(1);
  const one = await job(3, code, { args: ['one'] });
  expect([one.said[0], one.status]).toEqual([[[1]], 0]);
});

test('launch with threads under an MPI launcher is refused: it would run whole jobs side by side', async () => {
  const env = { OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_RANK: '0' };
  const { status, err } = await launch(['-n', '2', __filename], { env });
  expect(err).toContain('schuss launch: Open MPI (OMPI_COMM_WORLD_SIZE=2) starts 2 of it, each a job of its own');
  expect(err).toContain('mpirun -np 4 node ');
  expect(status).toBe(1);
});
