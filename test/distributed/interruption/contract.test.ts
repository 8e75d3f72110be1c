// The launcher's signal: ranks see it at different steps, and a distributed step tells all of them alike.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { DataParallel } from '../../../lib/distributed/optimizers/data-parallel.js';
import { ShardedOptimizer } from '../../../lib/distributed/optimizers/sharded-optimizer.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import type { World } from '../../../lib/distributed/world/world.js';
import { Adam, loadCheckpoint, SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { onRanks } from '../../support/distributed/worlds.js';
import { job, started, type Watch } from '../../support/job.js';
import { root } from '../../support/root.js';

type Steps = { step(grads: Float32Array | null): Promise<unknown> };

test.each<[string, (w: Float32Array, world: World) => Promise<Steps>]>([
  ['DataParallel', (w, world) => DataParallel.create(new SGD(w, { lr: 1 }), world)],
  ['ShardedOptimizer', (w, world) => ShardedOptimizer.create(SGD, w, { lr: 1 }, world)],
])('%s: a signal that one rank has seen is in the result of all', async (_, create) => {
  const results = await onRanks(3, async (world) => {
    const optimizer = await create(f32(0), world);
    const before = await optimizer.step(f32(1));
    const transport = OwnWorld.transportOf(world) as object;
    if (world.rank === 1) Object.defineProperty(transport, 'interrupted', { value: AbortSignal.abort() });
    return [before, await optimizer.step(f32(1)), await optimizer.step(null)];
  });
  const expected = [
    { applied: true },
    { applied: true, interrupted: true },
    { applied: false, finished: true, interrupted: true },
  ];
  expect(results).toEqual([expected, expected, expected]);
});

test('ranks that are not equally fast save a whole checkpoint at the same step', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-interrupted-'));
  const lib = pathToFileURL(join(root, 'dist')).href;
  const code = `
    import { Adam, saveCheckpoint } from '${lib}/index.mjs';
    import { DataParallel } from '${lib}/distributed/index.mjs';
    ${started}
    const params = { w: new Float32Array(100) };
    const optimizer = await DataParallel.create(new Adam(params), world);
    say('ready');
    for (let step = 1; ; step++) {
      const { interrupted } = await optimizer.step({ w: new Float32Array(100).fill(0.1) });
      if (interrupted) {
        await saveCheckpoint(process.argv[2], { params, optimizer, world });
        say(step);
        break;
      }
      await sleep(world.rank === 0 ? 5 : 60);
    }`;
  let isTold = false;
  const watch: Watch = (kill, out) => {
    if (isTold || !out.includes('ready')) return;
    isTold = true;
    setTimeout(() => kill('SIGTERM'), 150);
  };
  const { status, said } = await job(2, code, { args: [folder], options: ['--grace', '20000'], watch });
  expect(status).toBe(143);
  expect(said[0]).toHaveLength(2);
  expect(said[1]).toEqual(said[0]);
  const params = { w: new Float32Array(100) };
  const optimizer = new Adam(params);
  await loadCheckpoint(folder, { params, optimizer });
  expect(optimizer.stepCount).toBe(said[0]![1]);
  rmSync(folder, { recursive: true });
});
