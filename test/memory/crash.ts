// Run in a process of its own by test/memory/contract.test.ts: what would take it down if it went wrong.
import { Worker } from 'node:worker_threads';
import { Adam, allocate, SGD } from '../../lib/index.js';
import type { Any } from '../support/rig.js';

const collect = (globalThis as Any).gc as () => void;

// Sizes around the limits of Node and of V8: an array or an error.
for (const length of [0, 1, 2 ** 30 + 1, 2 ** 31, 2 ** 32]) {
  try {
    const array = allocate(length);
    if (array.length !== length) throw new Error(`allocate(${length}) has length ${array.length}`);
    if (length > 0) array[length - 1] = 1;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  collect();
}

// Arrays that only the optimizer holds: small ones live on V8's heap until their address is asked for.
{
  const optimizers = Array.from(
    { length: 200 },
    (_, i) => new Adam(new Float32Array((i % 20) + 1).fill(1), { ema: 0.5, betas: [0.9, 0.99] }),
  );
  for (let step = 0; step < 5; step++) {
    collect();
    for (const [i, optimizer] of optimizers.entries()) optimizer.step(new Float32Array((i % 20) + 1).fill(1));
  }
  const expected = optimizers[0]!.stateDict().state['0']!['ema'] as Float32Array;
  for (const optimizer of optimizers) {
    const { ema } = optimizer.stateDict().state['0'] as Any;
    if (ema.some((x: number) => x !== expected[0])) throw new Error('memory moved under a plan');
  }
}

// Memory that is let go of while a plan knows its address.
{
  const adam = new Adam([new Float32Array(1e6), new Float32Array(4)]);
  let grad: Float32Array | null = new Float32Array(1e6);
  adam.step([grad, new Float32Array(4)]);
  structuredClone(grad.buffer, { transfer: [grad.buffer as ArrayBuffer] });
  collect();
  try {
    adam.step([grad, new Float32Array(4)]);
    throw new Error('a detached gradient was taken');
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  grad = null;
  for (let i = 0; i < 5; i++) {
    adam.step([null, new Float32Array(4)]);
    collect();
  }
  adam.dispose();
  collect();
}

// Deep and endless structures, and recursion through a schedule.
{
  let deep: unknown = new Float32Array(1);
  for (let i = 0; i < 1e5; i++) deep = [deep];
  for (const params of [deep, { params: deep }]) {
    try {
      new SGD(params as Any, { lr: 1 });
      throw new Error('taken');
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
  let optimizer: SGD | undefined;
  optimizer = new SGD(new Float32Array(4), { lr: () => (optimizer as SGD).lr });
  try {
    optimizer.step(new Float32Array(4));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
}

// Workers that end in the middle of their steps, over memory that others use too.
const memory = new SharedArrayBuffer(4e6);
const source = `
  require(${JSON.stringify(require.resolve('tsx/cjs'))});
  const { workerData, parentPort } = require('node:worker_threads');
  const { Adam } = require(${JSON.stringify(require.resolve('../../lib/index.ts'))});
  const adam = new Adam(new Float32Array(workerData), { ema: 0.5 });
  const grad = new Float32Array(1e6);
  parentPort.postMessage('ready');
  for (;;) adam.step(grad);
`;
const ended = [1, 2].map(
  () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(source, { eval: true, workerData: memory });
      worker.once('error', reject);
      worker.once('message', () => setTimeout(() => worker.terminate().then(() => resolve(), reject), 20));
    }),
);
Promise.all(ended).then(() => {
  collect();
  console.log('alive');
});
