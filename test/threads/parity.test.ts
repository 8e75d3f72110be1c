// Any number of threads gives the same bits, several workers can step at once, and threads end with their last worker.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test } from 'vitest';
import { engine } from '../../lib/engine/backend.js';
import { backend, setThreads } from '../../lib/index.js';
import { type OptimizerClass, optimizers } from '../../lib/optimizers/index.js';
import { allClasses } from '../support/classes.js';
import { firstDifference, floats } from '../support/engines.js';
import { random } from '../support/random.js';
import { root } from '../support/root.js';
import { all, sample } from '../support/sample.js';

const { threads: before } = backend();
afterAll(() => setThreads(before));

/** Three steps of a model large enough that threads can share it: small tensors among large ones. */
function run(optimizer: OptimizerClass, threads: number): { arrays: Float32Array[]; norms: (number | undefined)[] } {
  engine().setThreads(threads, true);
  const next = random(5);
  const shapes = [
    [1, 100_001],
    [3, 1],
    [0, 5],
    [2048, 8],
    [10, 10],
    [280, 250],
  ] as const;
  const params = shapes.map(([rows, columns]) => floats(rows * columns, next));
  const shaped = params.map((data, i) => ({ data, shape: shapes[i] as readonly [number, number] }));
  // MomentumOptimizer requires it.
  const momentum = optimizer.optimizerName === 'MomentumOptimizer' ? { momentum: 0.9 } : {};
  const instance = new optimizer(shaped, { ...momentum, lr: 0.1, clipNorm: 1, ema: 0.9, zeroGrads: true });
  const norms = [1, 2, 3].map((step) => {
    const grads = params.map((p, i) => (step === 2 && i === 5 ? null : p.map((v) => Math.fround(v * 0.01 * step))));
    return instance.step(grads).gradNorm;
  });
  const states = Object.values(instance.stateDict().state).flatMap((state) => Object.values(state));
  return { arrays: [...params, ...states.filter((v): v is Float32Array => v instanceof Float32Array)], norms };
}

describe.each(sample(allClasses, 10).map(([optimizer]) => [optimizer.optimizerName, optimizer] as const))(
  '%s',
  (_name, optimizer) => {
    test('2, 3 and 8 threads give the bits of one', () => {
      const expected = run(optimizer, 1);
      for (const threads of all ? [2, 3, 8] : [3]) {
        const { arrays, norms } = run(optimizer, threads);
        expect(norms).toEqual(expected.norms);
        expect(arrays.map((array, i) => firstDifference(array, expected.arrays[i] as Float32Array))).toEqual(
          arrays.map(() => -1),
        );
      }
    });
  },
);

/** A worker that keeps stepping a param large enough for threads, and posts the result of the first steps. */
const code = `
  const { parentPort } = require('node:worker_threads');
  const { Adam, setThreads } = require(${JSON.stringify(join(root, 'dist', 'index.js'))});
  setThreads(3);
  const w = new Float32Array(1000000).fill(1), g = w.map((_, i) => Math.sin(i));
  const adam = new Adam(w);
  const steps = (n) => { for (let i = 0; i < n; i++) adam.step(g); };
  steps(10);
  parentPort.postMessage(w.reduce((sum, v) => sum + v, 0));
  const again = () => { steps(1); setImmediate(again); };
  again();
`;

test('several workers may step at once, and be terminated during a step', async () => {
  const sums = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(code, { eval: true });
          worker.once('error', reject);
          worker.once('message', (sum: number) => setTimeout(() => worker.terminate().then(() => resolve(sum)), 30));
        }),
    ),
  );
  expect(new Set(sums).size).toBe(1);
  // The pool starts again for the next step.
  expect(run(optimizers.sgd, 2).norms).toEqual(run(optimizers.sgd, 1).norms);
});
