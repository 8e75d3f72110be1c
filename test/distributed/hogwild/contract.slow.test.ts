// hogwild over real threads: a sparse problem reaches its target loss, and no step of any rank is lost where rows differ.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { job, joined } from '../../support/job.js';
import { root } from '../../support/root.js';

const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;
const imports = `
import { Adagrad, SGD } from '${entry('index.mjs')}';
import { hogwild } from '${entry('distributed', 'index.mjs')}';
${joined}`;

/** Logistic regression: each example names 6 of 2000 features, and a hidden weight of each decides its label. */
const regression = `${imports}
const [features, named, examples] = [2000, 6, 8000];
let seed = 7;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const hidden = Array.from({ length: features }, () => (random() < 0.5 ? -1 : 1));
const data = Array.from({ length: examples }, () => {
  const rows = Int32Array.from({ length: named }, () => Math.floor(random() * features));
  return { rows, y: rows.reduce((sum, row) => sum + hidden[row], 0.5) > 0 ? 1 : 0 };
});
const start = { w: { data: new Float32Array(features), shape: [features, 1] } };
const { params, optimizer } = await hogwild(world, start, (shared) => new Adagrad(shared, { lr: 0.5 }));
const w = params.w.data;
const probability = (rows) => 1 / (1 + Math.exp(-rows.reduce((sum, row) => sum + w[row], 0)));
const lossOf = () =>
  data.reduce((sum, { rows, y }) => sum - Math.log(Math.max(1e-12, y === 1 ? probability(rows) : 1 - probability(rows))), 0) / examples;
const first = lossOf();
await world.barrier();
for (let epoch = 0; epoch < 4; epoch++)
  for (let i = world.rank; i < examples; i += world.size) {
    const { rows, y } = data[i];
    optimizer.step({ w: { rows, values: new Float32Array(named).fill(probability(rows) - y) } });
  }
await world.barrier();
say({ first, last: lossOf(), steps: optimizer.stepCount });
await world.close();
`;

describe('a sparse problem', () => {
  test.each([2, 4])('reaches its target loss with %i ranks', { timeout: 300_000 }, async (size) => {
    const { said, status, err } = await job(size, regression);
    expect([status, err]).toEqual([0, '']);
    const all = said.map(([result]) => result as { first: number; last: number; steps: number });
    expect(all.length).toBe(size);
    for (const { first, last, steps } of all) {
      expect(first).toBeCloseTo(Math.LN2, 6);
      expect(last).toBeLessThan(0.25);
      expect(last).toBe(all[0]!.last); // all read the same memory
      expect(steps).toBe((4 * 8000) / size);
    }
  });
});

test('steps on rows of their own are all in the params, whoever took them', async () => {
  const code = `${imports}
    const start = { w: { data: new Float32Array(64 * 16), shape: [64, 16] } };
    const { params, optimizer } = await hogwild(world, start, (shared) => new SGD(shared, { lr: 1 }));
    for (let step = 0; step < 2000; step++) {
      const row = world.size * (step % 16) + world.rank;
      optimizer.step({ w: { rows: Int32Array.of(row), values: new Float32Array(16).fill(-1) } });
    }
    await world.barrier();
    say([...new Set(params.w.data)]);
    await world.close();`;
  const { said, status } = await job(4, code);
  expect(status).toBe(0);
  expect(said).toEqual(Array.from({ length: 4 }, () => [[125]])); // 2000 steps over 16 rows
});
