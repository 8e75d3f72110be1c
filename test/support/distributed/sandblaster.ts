// Programs of SandblasterLBFGS that run alike on worker threads and under MPI.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { joined } from '../job.js';
import { root } from '../root.js';

export const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;
export const imports = `
import { LBFGS } from '${entry('index.mjs')}';
import { SandblasterLBFGS } from '${entry('distributed', 'index.mjs')}';
${joined}
const spin = (ms) => { for (const end = performance.now() + ms; performance.now() < end; ); };
`;

/**
 * Logistic regression, where rank 1 is slow, and with many evaluations, where all ranks are late at random. Each rank also
 * runs a plain LBFGS over the sum, which is written out.
 */
export const regression = `${imports}
const examples = 480;
for (const [portions, features, maxIterations, late] of [
  [24, 200, 8, () => (world.rank === 1 ? 1 : 0)],
  [37, 30, 30, () => (Math.random() < 0.1 ? 2 * Math.random() : 0)],
]) {
  let seed = 3;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
  // Columns of many sizes, so that it takes many iterations.
  const data = Float32Array.from({ length: examples * features }, (_, i) => random() * 4 ** -((i % features) % 7));
  const lossOf = (portion, x, grad) => {
    let loss = 0;
    grad.fill(0);
    for (let i = portion; i < examples; i += portions) {
      const row = data.subarray(i * features, (i + 1) * features);
      let z = 0;
      for (let k = 0; k < features; k++) z += row[k] * x[k];
      const sign = i % 2 === 0 ? 1 : -1;
      loss += Math.log1p(Math.exp(-sign * z));
      const d = -sign / (1 + Math.exp(sign * z));
      for (let k = 0; k < features; k++) grad[k] += d * row[k];
    }
    return loss;
  };
  const options = { maxIterations, gradTol: 0, funTol: 0, stepTol: 0 };
  const x = new Float32Array(features);
  const f = (portion, x, grad) => (spin(late()), lossOf(portion, x, grad));
  const lbfgs = await SandblasterLBFGS.create(world, x, { portions, f, ...options });
  const results = [await lbfgs.step(), await lbfgs.step()];

  const y = new Float32Array(features);
  const grads = new Float32Array(features);
  const plain = new LBFGS(y, { grads, ...options });
  const closure = () => {
    const parts = Array.from({ length: portions }, () => new Float32Array(features));
    const losses = parts.map((part, portion) => lossOf(portion, y, part));
    for (let d = 1; d < portions; d *= 2)
      for (let i = 0; i + d < portions; i += 2 * d) {
        losses[i] += losses[i + d];
        for (let k = 0; k < features; k++) parts[i][k] += parts[i + d][k];
      }
    grads.set(parts[0]);
    return losses[0];
  };
  const truth = [plain.step(closure), plain.step(closure)];
  say({ results, bits: digest(x), truth, bitsOfTruth: digest(y) });
}
await world.close();
`;

/** Rank 1 is late with the first of 8 portions. Each rank says which portions it has computed. */
export const latePortion = `${imports}
    const mine = [];
    let isFirst = true;
    await world.barrier();
    const x = new Float32Array(1);
    const lbfgs = await SandblasterLBFGS.create(world, x, {
      portions: 8,
      maxIterations: 1,
      f(portion, x, grad) {
        if (mine.length < 100) mine.push(portion);
        if (isFirst && world.rank === 1) spin(1500);
        else spin(mine.length > 8 ? 1 : 30); // the other rank has time to begin
        isFirst = false;
        grad[0] = x[0] - portion;
        return grad[0] ** 2 / 2;
      },
    });
    const { loss } = await lbfgs.step();
    say({ mine, loss, x: x[0] });
    await world.close();`;

/** f throws on rank 2. The others say their error. */
export const throwing = `${imports}
    await world.barrier();
    const lbfgs = await SandblasterLBFGS.create(world, new Float32Array(1), {
      portions: 30,
      maxIterations: 1000,
      maxEvaluations: Infinity,
      gradTol: 0, funTol: 0, stepTol: 0,
      f(portion, x, grad) {
        spin(5);
        if (world.rank === 2) throw new Error('on purpose');
        grad[0] = 4 * x[0] ** 3 + portion;
        return x[0] ** 4 + portion * x[0];
      },
    });
    try {
      for (;;) await lbfgs.step();
    } catch (error) {
      const { name, rank, exitCode, message } = error;
      say({ name, rank, exitCode, message });
      throw error;
    }`;

/** f never ends on rank 1. Rank 0 says its error. */
export const hanging = `${imports}
    await world.barrier();
    const lbfgs = await SandblasterLBFGS.create(world, new Float32Array(1), {
      portions: 6,
      f(portion, x, grad) {
        if (world.rank === 1) for (;;);
        spin(5);
        grad[0] = x[0] - portion;
        return grad[0] ** 2 / 2;
      },
    });
    try {
      for (;;) await lbfgs.step();
    } catch ({ name, ranks }) {
      say({ name, ranks });
      process.exit(3);
    }`;

/** Two of them take steps by turns, and rank 1 is slow. */
export const two = `${imports}
    await world.barrier();
    const create = (portions) =>
      SandblasterLBFGS.create(world, new Float32Array(1), {
        portions,
        maxIterations: 3,
        gradTol: 0, funTol: 0, stepTol: 0,
        f(portion, x, grad) {
          if (world.rank === 1) spin(3);
          grad[0] = 4 * (x[0] - portion) ** 3;
          return (x[0] - portion) ** 4;
        },
      });
    const both = [await create(8), await create(11)];
    const losses = [];
    for (let step = 0; step < 10; step++) losses.push((await both[step % 2].step()).loss);
    for (let step = 0; step < 5; step++) for (const { loss } of await Promise.all(both.map((each) => each.step()))) losses.push(loss);
    say(losses);
    await world.close();`;
