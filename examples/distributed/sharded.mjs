// Sharded training with checkpoints: each rank keeps half of the state of AdamW and saves its part. When a rank fails, the
// launcher starts all ranks again, and they go on from the last checkpoint as if nothing had happened.
//
// npx schuss launch -n 2 --restart 1 examples/distributed/sharded.mjs /tmp/sharded-run
// npx schuss launch -n 2 --restart 1 examples/distributed/sharded.mjs /tmp/another-run --fail-at 25
import { createHash } from 'node:crypto';
import { AdamW, CheckpointManager, cosine } from 'schuss';
import { init, ShardedOptimizer, shardBatches } from 'schuss/distributed';

const [folder, option, failAt] = process.argv.slice(2);
if (folder === undefined) throw new Error('give the folder of the checkpoints');
const [examples, features, hidden, epochs, batch] = [2000, 20, 64, 20, 200];

// A network with one hidden layer: the label says on which side of a plane a point lies.
const x = Float32Array.from({ length: examples * features }, (_, i) =>
  Math.sin(i * 12.9898 + 0.5 * Math.sin(i * 78.233)),
);
const side = (row) => x.subarray(row * features, (row + 1) * features).reduce((sum, v, k) => sum + v * Math.cos(k), 0);
const y = Float32Array.from({ length: examples }, (_, row) => (side(row) > 0 ? 1 : 0));

const world = await init();
const params = {
  weight: { data: new Float32Array(hidden * features), shape: [hidden, features] },
  bias: new Float32Array(hidden),
  out: new Float32Array(hidden),
};
params.weight.data.forEach((_, i, w) => {
  w[i] = 0.3 * Math.sin(i * 7.13 + 1);
});
params.bias.forEach((_, i, b) => {
  b[i] = Math.sin(i);
});

/** The mean loss over some rows. Writes the mean gradient. */
function gradient(rows, grads) {
  for (const grad of Object.values(grads)) grad.fill(0);
  let loss = 0;
  const active = new Float64Array(hidden);
  for (const row of rows) {
    const at = row * features;
    let z = 0;
    for (let h = 0; h < hidden; h++) {
      let sum = params.bias[h];
      for (let k = 0; k < features; k++) sum += params.weight.data[h * features + k] * x[at + k];
      active[h] = Math.tanh(sum);
      z += params.out[h] * active[h];
    }
    const p = 1 / (1 + Math.exp(-z));
    loss -= Math.log(y[row] === 1 ? p : 1 - p) / rows.length;
    const error = (p - y[row]) / rows.length;
    for (let h = 0; h < hidden; h++) {
      const back = error * params.out[h] * (1 - active[h] ** 2);
      grads.out[h] += error * active[h];
      grads.bias[h] += back;
      for (let k = 0; k < features; k++) grads.weight[h * features + k] += back * x[at + k];
    }
  }
  return loss;
}

const steps = epochs * (examples / batch);
const options = { lr: cosine(0.02, { steps }), clipNorm: 1 };
const optimizer = await ShardedOptimizer.create(AdamW, params, options, world);
const checkpoints = new CheckpointManager(folder, { keep: 2, every: 10 });

let done = 0;
// The first save makes the folder, so rank 0 tells the others whether there is one.
if (await world.broadcastObject((await checkpoints.latest()) !== undefined)) {
  ({ step: done } = await checkpoints.load({ params, optimizer, world }));
  if (world.rank === 0) console.log(`resumed at step ${done}`);
}

const grads = {
  weight: new Float32Array(hidden * features),
  bias: new Float32Array(hidden),
  out: new Float32Array(hidden),
};
let step = 0;
let loss = 0;
for (let epoch = 0; epoch < epochs; epoch++)
  for (const [rows] of shardBatches(examples, world, { batch, seed: 1, epoch })) {
    if (step++ < done) continue; // taken before the checkpoint
    loss = gradient(rows, grads);
    await optimizer.step(grads, { weight: rows.length });
    await checkpoints.save(step, { params, optimizer, world });
    const isFirstRun = process.env.SCHUSS_RESTART === '0';
    if (option === '--fail-at' && step === Number(failAt) && isFirstRun && world.rank === 1)
      throw new Error(`rank 1 fails at step ${step}`);
  }

const [mean] = await world.allReduce(Float64Array.of(loss), { op: 'mean' });
const hash = createHash('sha256').update(params.weight.data).digest('hex');
if (world.rank === 0)
  console.log(`${optimizer.stateBytes} bytes of state a rank, params ${hash.slice(0, 16)}, loss ${mean.toFixed(3)}`);
await world.close();
