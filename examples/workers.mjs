// A pool of workers computes gradients, each of its share of the data; the main thread sums them and takes the steps. Weights,
// gradients and data are in shared memory, so no array is copied or sent.
//
// node examples/workers.mjs
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Adam, cosine } from 'schuss';

const [workers, steps, examples, features] = [3, 200, 4000, 100];
const shared = (length) => new Float32Array(new SharedArrayBuffer(4 * length));

/** Logistic regression: adds the gradient of every third example, from the first one on. Returns the loss. */
function gradient({ first, x, y, w, grad }) {
  let loss = 0;
  for (let i = first; i < examples; i += workers) {
    let z = 0;
    for (let k = 0; k < features; k++) z += w[k] * x[i * features + k];
    const p = 1 / (1 + Math.exp(-z));
    loss -= Math.log(y[i] === 1 ? p : 1 - p);
    for (let k = 0; k < features; k++) grad[k] += (p - y[i]) * x[i * features + k];
  }
  return loss;
}

if (!isMainThread) {
  parentPort.on('message', () => parentPort.postMessage(gradient(workerData)));
} else {
  // The label says on which side of a plane an example lies.
  const [x, y, w, sum] = [shared(examples * features), shared(examples), shared(features), shared(features)];
  x.forEach((_, i) => {
    x[i] = Math.sin(i * 12.9898 + 0.5 * Math.sin(i * 78.233));
  });
  y.forEach((_, i) => {
    let z = 0;
    for (let k = 0; k < features; k++) z += Math.cos(k) * x[i * features + k];
    y[i] = z > 0 ? 1 : 0;
  });

  const pool = Array.from({ length: workers }, (_, first) => {
    const grad = shared(features);
    return { grad, worker: new Worker(new URL(import.meta.url), { workerData: { first, x, y, w, grad } }) };
  });
  const adam = new Adam(w, { lr: cosine(0.1, { steps }), zeroGrads: true });
  for (let step = 1; step <= steps; step++) {
    const answers = pool.map(({ worker }) => once(worker, 'message'));
    for (const { worker } of pool) worker.postMessage('go');
    const losses = await Promise.all(answers);
    // In the order of the workers, so that every run gives the same bits.
    for (const { grad } of pool) {
      for (let k = 0; k < features; k++) sum[k] += grad[k];
      grad.fill(0);
    }
    await adam.stepAsync(sum, { gradScale: 1 / examples }); // the event loop stays free
    const loss = losses.reduce((all, [own]) => all + own, 0) / examples;
    if (step % 50 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
  }
  await Promise.all(pool.map(({ worker }) => worker.terminate()));
}
