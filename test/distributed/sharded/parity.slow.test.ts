// ShardedOptimizer over real worker threads: one digest of the params at 1, 2 and 4 ranks, which is that of DataParallel.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { job } from '../../support/job.js';
import { root } from '../../support/root.js';

const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;

const code = `
import { Adagrad, AdamW, LAMB, Muon, Prodigy } from '${entry('index.mjs')}';
import { DataParallel, ShardedOptimizer, shardBatches } from '${entry('distributed', 'index.mjs')}';

const world = await init();
const classes = [[AdamW, { lr: 0.01, clipNorm: 1 }], [Adagrad, { lr: 0.1 }], [LAMB, { lr: 0.01 }], [Muon, {}], [Prodigy, { d0: 0.01 }]];
let state = 1;
const noise = () => ((state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31) * 3;
const fill = (x) => x.map(noise);
const digests = [];
for (const [Class, options] of classes)
  for (const isSharded of [true, false]) {
    state = 5;
    const params = { table: { data: fill(new Float32Array(400)), shape: [100, 4] }, w: fill(new Float32Array(20000)) };
    const distribution = { microBatches: 8, bucketBytes: 65536 };
    const optimizer = isSharded
      ? await ShardedOptimizer.create(Class, params, options, world, distribution)
      : await DataParallel.create(new Class(params, options), world, distribution);
    for (const parts of shardBatches(60, world, { batch: 32, microBatches: 8, seed: 1, epoch: 0 })) {
      for (const rows of parts) {
        state = rows.reduce((sum, row) => Math.imul(sum, 31) + row, 7);
        const w = fill(new Float32Array(20000)).map((x, i) => x + params.w[i]);
        const isSparse = Class === AdamW || Class === Adagrad;
        const table = isSparse ? { rows, values: fill(new Float32Array(4 * rows.length)) } : fill(new Float32Array(400));
        optimizer.accumulate({ table, w }, { weight: rows.length });
      }
      await optimizer.step(null);
    }
    digests.push([Class.optimizerName, digest(params.w), digest(params.table.data), optimizer.stepCount]);
  }
say(digests);
await world.close();
`;

test('params have one digest, whatever the number of ranks, and that of DataParallel', async () => {
  const all = new Set<string>();
  for (const size of [1, 2, 4]) {
    const { said, status, err } = await job(size, code);
    expect([status, err]).toEqual([0, '']);
    expect(said.length).toBe(size);
    for (const [digests] of said) all.add(JSON.stringify(digests));
  }
  expect(all.size, [...all].join('\n')).toBe(1);
  const digests = JSON.parse([...all][0] as string) as unknown[];
  for (let i = 0; i < digests.length; i += 2) expect(digests[i]).toEqual(digests[i + 1]);
  expect(digests.length).toBe(10);
}, 300_000);
