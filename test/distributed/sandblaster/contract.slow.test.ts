// SandblasterLBFGS over real threads: one digest at any number of ranks, slow ranks, and faults.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { job, joined } from '../../support/job.js';
import { root } from '../../support/root.js';

const entry = (...path: string[]): string => pathToFileURL(join(root, 'dist', ...path)).href;
const imports = `
import { LBFGS } from '${entry('index.mjs')}';
import { SandblasterLBFGS } from '${entry('distributed', 'index.mjs')}';
${joined}
const spin = (ms) => { for (const end = performance.now() + ms; performance.now() < end; ); };
`;

/**
 * Logistic regression, where rank 1 is slow, and with many evaluations, where all ranks are late at random. Each rank also
 * runs a plain LBFGS over the sum, which is written out.
 */
const regression = `${imports}
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

interface Run {
  readonly results: readonly { readonly evaluations: number }[];
  readonly bits: string;
  readonly truth: unknown;
  readonly bitsOfTruth: string;
}

test('one digest at 1, 2, 3 and 4 ranks, that of a plain LBFGS over the sum', { timeout: 300_000 }, async () => {
  const all = [new Set<string>(), new Set<string>()];
  for (const size of [1, 2, 3, 4]) {
    const { said, status, err } = await job(size, regression);
    expect([status, err]).toEqual([0, '']);
    expect(said.length).toBe(size);
    for (const runs of said as Run[][])
      for (const [i, run] of runs.entries()) {
        expect(run.results).toEqual(run.truth);
        expect(run.bits).toBe(run.bitsOfTruth);
        expect(run.results[0]!.evaluations).toBeGreaterThan(8); // more than are kept
        all[i]!.add(run.bits);
      }
  }
  expect(all.map(({ size }) => size)).toEqual([1, 1]);
});

test('a portion that is late is computed by a second rank, and counts once', async () => {
  const code = `${imports}
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
        else spin(isFirst ? 20 : 1);
        isFirst = false;
        grad[0] = x[0] - portion;
        return grad[0] ** 2 / 2;
      },
    });
    const { loss } = await lbfgs.step();
    say({ mine, loss, x: x[0] });
    await world.close();`;
  const { said, status } = await job(2, code);
  expect(status).toBe(0);
  const [fast, late] = said.map(([run]) => run as { mine: number[]; loss: number; x: number });
  expect(late!.loss).toBe(fast!.loss);
  expect(late!.x).toBe(fast!.x);
  // Rank 0 has computed all portions of the first evaluation, among them the one that rank 1 had.
  expect(fast!.mine.slice(0, 8).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(fast!.mine.slice(0, 8)).toContain(late!.mine[0]);
});

test('f throws on one rank: RankError on the others, and its exit code', async () => {
  const code = `${imports}
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
  const { said, status, lastLine } = await job(3, code);
  expect(status).toBe(1);
  expect(lastLine).toBe('schuss launch: rank 2 failed: exit code 1: Error: on purpose');
  for (const rank of [0, 1])
    expect(said[rank]).toEqual([
      { name: 'RankError', rank: 2, exitCode: 1, message: 'World: rank 2: Error: on purpose' },
    ]);
  expect(said[2]).toEqual([{ name: 'Error', message: 'on purpose' }]);
});

test('f never ends on one rank: the others go on, until TimeoutError names it', async () => {
  const code = `${imports}
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
  const { said, status } = await job(2, code, { options: ['--timeout', '1500'] });
  expect(said[0]).toEqual([{ name: 'TimeoutError', ranks: [1] }]);
  expect(status).toBe(3);
});

test('two ranks have a portion longer than the deadline: TimeoutError names them on all ranks', async () => {
  // The ranks 1 and 2 are late by little, and then go on to meetings of their own: none of them may be taken for another one.
  const code = `${imports}
    const { shareFromRoot } = (await import('${entry('distributed', 'shared-memory.js')}')).default;
    const [slow, holders] = [0, 1];
    const words = new Int32Array(await shareFromRoot(world, new SharedArrayBuffer(8)));
    const lbfgs = await SandblasterLBFGS.create(world, new Float32Array(1), {
      portions: 9,
      maxIterations: 50,
      gradTol: 0, funTol: 0, stepTol: 0,
      f(portion, x, grad) {
        if (Atomics.load(words, holders) < 2) {
          if (world.rank > 0) Atomics.compareExchange(words, slow, 0, portion + 1);
          else while (Atomics.load(words, holders) < 2);
          if (world.rank > 0 && Atomics.load(words, slow) === portion + 1) {
            Atomics.add(words, holders, 1);
            spin(1500);
          }
        }
        grad[0] = 4 * x[0] ** 3 + portion;
        return x[0] ** 4 + portion * x[0];
      },
    });
    try {
      for (;;) await lbfgs.step();
    } catch ({ name, ranks, message }) {
      say({ name, ranks, message });
    }`;
  const { said } = await job(3, code, { options: ['--timeout', '800'] });
  const error = {
    name: 'TimeoutError',
    ranks: [1, 2],
    message: 'SandblasterLBFGS: ranks 1, 2 did not come within 800 ms',
  };
  expect(said).toEqual([[error], [error], [error]]);
});

test('f throws on a rank that lives on: the others get an error that names it', async () => {
  const code = `${imports}
    const lbfgs = await SandblasterLBFGS.create(world, new Float32Array(1), {
      portions: 20,
      f(portion, x, grad) {
        if (world.rank === 1) throw new Error('on purpose');
        spin(2);
        grad[0] = x[0] - portion;
        return grad[0] ** 2 / 2;
      },
    });
    say(await attempt(() => lbfgs.step()));
    if (world.rank === 1) await sleep(3000);
    say(await attempt(() => world.barrier()));`;
  const { said, status } = await job(2, code);
  expect(said).toEqual([
    ['Error: SandblasterLBFGS: f threw on rank 1', 'no error'],
    ['Error: on purpose', 'no error'],
  ]);
  expect(status).toBe(0);
});
