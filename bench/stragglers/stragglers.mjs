// What a slow rank costs: one of four ranks takes ten times as long for everything. Sandblaster's portions against fixed equal
// parts, which everyone waits for. The computing is simulated: a portion sleeps. Ranks, memory, sums and waits are real.
//
// npx schuss launch -n 4 bench/stragglers/stragglers.mjs [evaluations] [floats of a gradient]
// mpirun -np 4 node bench/stragglers/stragglers.mjs [evaluations] [floats of a gradient]
import { init, SandblasterLBFGS } from '../../dist/distributed/index.mjs';

const [portions, milliseconds, slowness, curved] = [64, 4, 10, 10_000];
const [evaluations = 24, length = curved] = process.argv.slice(2).map(Number);
const world = await init();
const slow = world.size - 1;

const asleep = new Int32Array(new SharedArrayBuffer(4));
const sleep = (ms) => Atomics.wait(asleep, 0, 0, ms);
let factor = 1;
let computed = 0;

/** Simulates the work on one portion: a quadratic of ill-conditioned curvature, so that L-BFGS has no easy end. */
function f(portion, x, grad) {
  computed++;
  sleep(milliseconds * factor);
  let loss = 0;
  for (let i = 0; i < curved; i++) {
    grad[i] = (1 + i) * (x[i] - 1 - portion / portions);
    loss += (grad[i] * (x[i] - 1 - portion / portions)) / 2;
  }
  return loss;
}

/** Evaluates as data-parallel code does: each rank has the same share each time, and all wait for the slowest. */
async function fixedParts() {
  const [x, grad, sum] = [new Float32Array(length), new Float32Array(length), new Float32Array(length)];
  for (let e = 0; e < evaluations; e++) {
    sum.fill(0);
    for (let p = world.rank; p < portions; p += world.size) {
      f(p, x, grad);
      for (let i = 0; i < length; i++) sum[i] += grad[i];
    }
    await world.allReduce(sum);
  }
  return evaluations;
}

async function sandblaster() {
  const x = new Float32Array(length);
  const limits = { maxIterations: evaluations, maxEvaluations: evaluations, gradTol: 0, funTol: 0, stepTol: 0 };
  const lbfgs = await SandblasterLBFGS.create(world, x, { portions, f, ...limits });
  const result = await lbfgs.step();
  return result.evaluations;
}

async function time(what, run) {
  computed = 0;
  await world.barrier();
  const begun = performance.now();
  const count = await run();
  const own = performance.now() - begun; // of a rank that need not wait for the slow one
  await world.barrier();
  const counts = await world.allGatherObject(computed);
  const each = own / count;
  const more = counts.reduce((a, b) => a + b) - portions * count;
  if (world.rank === 0)
    console.log(
      `${what.padEnd(34)} ${each.toFixed(0).padStart(5)} ms an evaluation; portions by rank ${counts.join(', ')}; ${more} computed twice`,
    );
  return each;
}

if (world.rank === 0)
  console.log(
    `${world.size} ranks, ${portions} portions of ${milliseconds} ms, ${evaluations} evaluations. Computing is simulated: a portion sleeps.`,
  );
const results = {};
for (const [name, own] of [
  ['all alike', 1],
  [`rank ${slow} ${slowness} times slower`, slowness],
]) {
  factor = world.rank === slow ? own : 1;
  results[name] = [await time(`${name}: fixed parts`, fixedParts), await time(`${name}: Sandblaster`, sandblaster)];
}
const [[fixed, dealt], [fixedSlow, dealtSlow]] = Object.values(results);
if (world.rank === 0) {
  const speed = world.size - 1 + 1 / slowness;
  console.log(
    `the slow rank makes fixed parts ${(fixedSlow / fixed).toFixed(1)} times slower, Sandblaster ${(dealtSlow / dealt).toFixed(2)} times`,
  );
  const ideal = (speed) => ((portions * milliseconds) / speed).toFixed(0);
  console.log(
    `divided perfectly, an evaluation takes ${ideal(world.size)} ms, and ${ideal(speed)} ms with the slow rank`,
  );
}
await world.close();
