// SandblasterLBFGS over real threads: one digest at any number of ranks, slow ranks, and faults.
import { expect, test } from 'vitest';
import { entry, hanging, imports, latePortion, regression, throwing } from '../../support/distributed/sandblaster.js';
import { job } from '../../support/job.js';

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
  const { said, status } = await job(2, latePortion);
  expect(status).toBe(0);
  const [fast, late] = said.map(([run]) => run as { mine: number[]; loss: number; x: number });
  expect(late!.loss).toBe(fast!.loss);
  expect(late!.x).toBe(fast!.x);
  // Rank 0 has computed all portions of the first evaluation, among them the one that rank 1 had.
  expect(fast!.mine.slice(0, 8).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(fast!.mine.slice(0, 8)).toContain(late!.mine[0]);
});

test('f throws on one rank: RankError on the others, and its exit code', async () => {
  const { said, status, lastLine } = await job(3, throwing);
  expect(status).toBe(1);
  expect(lastLine).toBe('schuss launch: rank 2 failed: exit code 1: Error: on purpose');
  for (const rank of [0, 1])
    expect(said[rank]).toEqual([
      { name: 'RankError', rank: 2, exitCode: 1, message: 'World: rank 2: Error: on purpose' },
    ]);
  expect(said[2]).toEqual([{ name: 'Error', message: 'on purpose' }]);
});

test('f never ends on one rank: the others go on, until TimeoutError names it', async () => {
  const { said, status } = await job(2, hanging, { options: ['--timeout', '1500'] });
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
