// What a user's program does, in whatever runtime runs it. Prints one line of JSON: the backend, and a digest of all weights,
// which are the same bits everywhere.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { Adam, allocate, backend, createOptimizer, LBFGS, optimizers } from 'schuss';

const digest = createHash('sha256');
const fill = (array, seed) => {
  for (let i = 0; i < array.length; i++) array[i] = (((i + seed) * 7919) % 1009) / 1009 - 0.5;
  return array;
};

// `require` gives the same classes as `import`.
assert.equal(createRequire(import.meta.url)('schuss').Adam, Adam);

// Every class, over two steps that threads may share.
for (const name of Object.keys(optimizers)) {
  const w = fill(new Float32Array(70_001), 1);
  const small = 'maxPreconditionerDim' in optimizers[name].defaults ? { maxPreconditionerDim: 16 } : {}; // else minutes
  const optimizer = createOptimizer(name, [w], { lr: 0.01, clipNorm: 1, ema: 0.9, ...small });
  const options = optimizers[name].needsLoss ? { loss: 1 } : {};
  for (let step = 0; step < 2; step++) optimizer.step([fill(new Float32Array(w.length), step)], options);
  digest.update(w).update(optimizer.emaParams[0]);
  optimizer.dispose();
}

// Sparse gradients, and a step on other threads.
const table = { data: fill(allocate(1000 * 8), 3), shape: [1000, 8] };
const adam = new Adam({ table });
const rows = new Int32Array(new SharedArrayBuffer(12));
rows.set([7, 42, 7]);
const { applied } = await adam.stepAsync({ table: { rows, values: fill(allocate(24), 4) } });
assert.equal(applied, true);
digest.update(table.data);

// Errors come before anything has changed.
const before = table.data.slice();
assert.throws(() => adam.step({ table: new Float32Array(3) }), {
  name: 'RangeError',
  message: /length 3, expected 8000/,
});
await assert.rejects(adam.stepAsync({ table: new Float32Array(8000) }), { name: 'TypeError', message: /allocate/ });
assert.deepEqual(table.data, before);

// Memory that was taken away is an error, not a crash.
const gone = new Float32Array(64);
const orphan = new Adam([gone]);
structuredClone(gone.buffer, { transfer: [gone.buffer] });
assert.throws(() => orphan.step([new Float32Array(64)]), TypeError);

// Second order.
const x = Float32Array.of(-1.2, 1);
const g = new Float32Array(2);
const lbfgs = new LBFGS(x, { grads: g });
const rosenbrock = () => {
  const t = x[1] - x[0] ** 2;
  g[0] = -400 * x[0] * t - 2 * (1 - x[0]);
  g[1] = 200 * t;
  return 100 * t ** 2 + (1 - x[0]) ** 2;
};
for (let i = 0; i < 5; i++) lbfgs.step(rosenbrock);
assert.ok(Math.abs(x[0] - 1) < 1e-3 && Math.abs(x[1] - 1) < 1e-3);
digest.update(x);

// State goes through structuredClone, and a resumed run goes on.
const resumed = new Adam({ table: { data: table.data.slice(), shape: [1000, 8] } });
resumed.loadStateDict(structuredClone(adam.stateDict()));
const next = fill(new Float32Array(8000), 5);
adam.step({ table: next });
resumed.step({ table: next });
assert.deepEqual(resumed.stateDict().state, adam.stateDict().state);

// Threads of the runtime, each with an optimizer of its own on one shared array, in turn.
const shared = fill(new Float32Array(new SharedArrayBuffer(4 * 4096)), 6);
for (let n = 0; n < 3; n++) {
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: shared });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
}
digest.update(shared);

console.log(JSON.stringify({ ...backend(), digest: digest.digest('hex') }));
