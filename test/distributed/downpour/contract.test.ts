// ParameterServer and DownpourWorker in one thread.
import { expect, test } from 'vitest';
import { DownpourWorker, ParameterServer } from '../../../lib/distributed/index.js';
import { SGD } from '../../../lib/index.js';
import { f32 } from '../../support/arrays.js';
import { onRanks } from '../../support/distributed/worlds.js';

test('smoke', async () => {
  const results = await onRanks(3, async (world) => {
    const w = { a: new Float32Array(100_000).fill(world.rank), b: f32(1, 2) };
    if (world.rank === 0) {
      const server = new ParameterServer(world, w, { optimizer: (params) => new SGD(params, { lr: 0.5 }) });
      const statistics = await server.serve();
      return [statistics, w.a[5], [...w.b]];
    }
    const worker = new DownpourWorker(world, w, { lr: 0.5 });
    await worker.fetch();
    const grads = { a: new Float32Array(100_000).fill(1), b: f32(1, 1) };
    for (let i = 0; i < 10; i++) await worker.step(grads);
    await worker.close();
    return [w.a[5], [...w.b]];
  });
  console.log(JSON.stringify(results));
  expect(results.length).toBe(3);
});
