// DataParallel over real worker threads: one digest of the params at 1, 2, 4 and 8 ranks, for each class.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { job } from '../../support/job.js';
import { root } from '../../support/root.js';

const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;

const code = `
import { Adagrad, Adam, LAMB, SGD } from '${entry('index.mjs')}';
import { DataParallel, shardBatches } from '${entry('distributed', 'index.mjs')}';

const world = await init();
const classes = {
  sgd: (params) => new SGD(params, { lr: 0.1, momentum: 0.9 }),
  adam: (params) => new Adam(params, { lr: 0.01, clipNorm: 1 }),
  adagrad: (params) => new Adagrad(params, { lr: 0.1 }),
  lamb: (params) => new LAMB(params, { lr: 0.01 }),
};
let state = 1;
const noise = () => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31) * 3;
const fill = (x) => x.map(noise);
const digests = {};
for (const [name, make] of Object.entries(classes)) {
  state = 5;
  const params = { table: { data: fill(new Float32Array(400)), shape: [100, 4] }, w: fill(new Float32Array(20000)) };
  const optimizer = await DataParallel.create(make(params), world, { microBatches: 8, bucketBytes: 65536 });
  for (let epoch = 0; epoch < 2; epoch++)
    for (const parts of shardBatches(60, world, { batch: 32, microBatches: 8, seed: 1, epoch })) {
      for (const rows of parts) {
        state = rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7);
        const g = fill(new Float32Array(20000)).map((x, i) => x + params.w[i]);
        const table = name === 'lamb' ? null : { rows, values: fill(new Float32Array(4 * rows.length)) };
        optimizer.accumulate({ table, w: g }, { weight: rows.length });
      }
      await optimizer.step(null);
    }
  digests[name] = [digest(params.w), digest(params.table.data), optimizer.stepCount];
}
say(digests);
await world.close();
`;

test('params have one digest, whatever the number of ranks', async () => {
  const all = new Set<string>();
  for (const size of [1, 2, 4, 8]) {
    const { said, status, err } = await job(size, code);
    expect([status, err]).toEqual([0, '']);
    expect(said.length).toBe(size);
    for (const [digests] of said) all.add(JSON.stringify(digests));
  }
  expect(all.size, [...all].join('\n')).toBe(1);
  expect(JSON.parse([...all][0] as string).adam[2]).toBe(4);
}, 300_000);
