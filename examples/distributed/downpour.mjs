// Downpour SGD: one rank is the server, and three workers push gradients at their own pace. One of them is slow, and another one
// dies on the way. The others go on without it. Under MPI all of them live, because the death of a process ends an MPI job.
//
// node examples/distributed/downpour.mjs
// mpirun -np 4 node examples/distributed/downpour.mjs
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Adagrad } from 'schuss';
import { DownpourWorker, init, ParameterServer, runWorkers } from 'schuss/distributed';

const [features, batch, steps] = [50, 32, 200];

/** A random point. The label says on which side of a plane it lies. */
function example() {
  const x = Float32Array.from({ length: features }, () => Math.random() - 0.5);
  return { x, y: x.reduce((sum, v, k) => sum + v * Math.cos(k), 0) > 0 ? 1 : 0 };
}
const probability = (w, x) => 1 / (1 + Math.exp(-x.reduce((sum, v, k) => sum + v * w[k], 0)));

/** The mean gradient of logistic regression over a batch of new examples. */
function gradient(w) {
  const grad = new Float32Array(features);
  for (let n = 0; n < batch; n++) {
    const { x, y } = example();
    const error = (probability(w, x) - y) / batch;
    for (let k = 0; k < features; k++) grad[k] += error * x[k];
  }
  return grad;
}

async function serve(world, w) {
  const server = new ParameterServer(world, w, {
    optimizer: (params) => new Adagrad(params, { lr: 1 }),
    warmStart: 20, // pushes of one worker alone
  });
  const { pushes, staleness, lost } = await server.serve();
  const mean = staleness.reduce((sum, count, age) => sum + count * age, 0) / pushes;
  console.log(
    `${pushes} pushes, overtaken by ${mean.toFixed(1)} others on average; lost workers: ${lost.join(', ') || 'none'}`,
  );
  const right = Array.from({ length: 2000 }, example).filter(
    ({ x, y }) => probability(w, x) > 0.5 === (y === 1),
  ).length;
  console.log(`accuracy ${(right / 2000).toFixed(3)}`);
}

async function work(world, w) {
  const [isSlow, isDoomed] = [world.rank === 2, world.rank === 3 && world.transport === 'workers'];
  const worker = new DownpourWorker(world, w, { lr: 1, fetchEvery: 2 });
  await worker.fetch();
  for (let step = 1; step <= (isSlow ? steps / 10 : steps); step++) {
    if (isSlow) await sleep(20);
    if (isDoomed && step === 50) process.exit(3);
    await worker.step(gradient(w));
  }
  await worker.close();
}

const world = await init();
if (world.size === 1) {
  const { exitCode } = await runWorkers(fileURLToPath(import.meta.url), { size: 4 });
  process.exitCode = exitCode; // that of the ranks that are left
} else {
  const w = new Float32Array(features);
  await (world.rank === 0 ? serve(world, w) : work(world, w));
  await world.close();
}
