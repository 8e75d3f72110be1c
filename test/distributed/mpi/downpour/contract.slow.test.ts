// Downpour SGD under MPI: training in order of arrival, ranks that do not come, and ranks that end early.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { leastSquares } from '../../../support/distributed/programs.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';
import { root } from '../../../support/root.js';

/** Least squares: the last worker is slow. */
const problem = `${leastSquares}
  const serve = (options = {}) =>
    new ParameterServer(world, w, { optimizer: (params) => new Adagrad(params, { lr: 0.5 }), ...options }).serve();
  const work = async (steps, options = {}) => {
    const worker = new DownpourWorker(world, w, { lr: 0.1, ...options });
    for (let step = 1; step <= steps; step++) {
      await worker.step(gradient());
      if (world.rank > 1 && world.rank === world.size - 1) await sleep(3); // the last one is slow
    }
    await worker.close();
  };
`;

interface Statistics {
  readonly pushes: number;
  readonly stale: number;
  readonly staleness: readonly number[];
}

describe.skipIf(mpi === undefined)(`under MPI ${withoutMpi}`, () => {
  test.each([
    [2, 1],
    [3, 1],
    [4, 2],
  ])('%i ranks, %i server(s): pushes in order of arrival reach the goal', async (size, servers) => {
    const code = `${problem}
      const servers = ${servers}, isSlow = world.rank === world.size - 1;
      if (world.rank < servers) say(await serve({ servers, warmStart: 10, maxStaleness: 50 }));
      else await work(isSlow && world.size > 2 ? 30 : 400, { servers, fetchEvery: 2 });
      say([loss(), digest(w)]);`;
    const { said, status, err } = await mpiJob(size, code);
    expect([status, err]).toEqual([0, '']);
    const workers = size - servers;
    const pushed = workers === 1 ? 400 : 400 * (workers - 1) + 30;
    for (const [rank, list] of said.entries()) {
      const [value, bits] = list.at(-1) as [number, string];
      expect(value).toBeLessThan(2e-3);
      expect(bits).toBe((said[0]!.at(-1) as [number, string])[1]);
      if (rank >= servers) continue;
      const { pushes, stale, staleness } = list[0] as Statistics;
      expect(pushes + stale).toBe(pushed);
      expect(staleness.reduce((sum, count) => sum + count, 0)).toBe(pushes);
      expect(list[0]).toMatchObject({ nonFinite: 0, lost: [] });
    }
  });

  test('the server computes, workers wait in a collective: both go on; the natural end closes a worker', async () => {
    const code = `${problem}
      if (world.rank === 0) {
        const serving = serve();
        const sum = await world.allReduce(new Float32Array(100_000).fill(1));
        const { pushes } = await serving;
        say([sum[0], pushes, (await world.allGatherObject(7)).length]);
      } else {
        const worker = new DownpourWorker(world, w, { lr: 0.1, pushEvery: 3, fetchEvery: 9 });
        for (let step = 0; step < 2; step++) await worker.step(gradient());
        const pending = worker.step(gradient());
        await world.allReduce(new Float32Array(100_000).fill(1));
        await pending;
        await worker.step(gradient());
        await worker.close();
        await world.allGatherObject(7);
      }`;
    const { said, status, err } = await mpiJob(3, code);
    expect([status, err]).toEqual([0, '']);
    expect(said[0]).toEqual([[3, 4, 3]]);
    const natural = `${problem}
      if (world.rank === 0) say(await serve());
      else {
        const worker = new DownpourWorker(world, w, { lr: 1, pushEvery: 3, fetchEvery: 9 });
        for (let step = 0; step < 4; step++) await worker.step(gradient());
      }`;
    const end = await mpiJob(3, natural);
    expect([end.status, end.err]).toEqual([0, '']);
    expect(end.said[0]).toMatchObject([{ pushes: 4, lost: [] }]);
  });

  test('params of other lengths are a RangeError of each such worker', async () => {
    const code = `${problem}
      const params = world.rank === 0 ? w : w.subarray(world.rank);
      if (world.rank === 0) say((await serve()).lost);
      else say(await attempt(() => new DownpourWorker(world, params, { lr: 1 }).fetch()));
      await world.close();`;
    const { said, status } = await mpiJob(3, code);
    const error = (rank: number): string =>
      `RangeError: DownpourWorker: params[0]: rank 0 0 of length 20, rank ${rank} 0 of length ${20 - rank}`;
    expect(said).toEqual([[[1, 2]], [error(1)], [error(2)]]);
    expect(status).toBe(0);
  });

  test('a worker that never comes: TimeoutError names it', async () => {
    const code = `${problem.replace('init()', 'init({ timeout: 1500 })')}
      await world.barrier();
      if (world.rank === 2) await sleep(4000);
      else {
        const error = await (world.rank === 0 ? serve() : work(1e9)).catch((error) => error);
        const again = await world.barrier().catch((later) => later === error);
        say([error instanceof TimeoutError, error.message, error.ranks, again]);
        await allSaid([0, 1]);
      }`;
    const { said, status } = await mpiJob(3, code);
    const expected = [true, 'ParameterServer: serve: rank 2 did not come within 1500 ms', [2], true];
    expect([said[0], said[1]]).toEqual([[expected], [expected]]);
    expect(status).toBe(71);
  });

  test('a server that never comes: TimeoutError names it', async () => {
    const code = `${problem.replace('init()', 'init({ timeout: 1500 })')}
      await world.barrier();
      if (world.rank === 0) await sleep(4000);
      else say(await attempt(() => work(1)));`;
    const { said } = await mpiJob(2, code);
    expect(said[1]).toEqual(['TimeoutError: DownpourWorker: fetch: rank 0 did not come within 1500 ms']);
  });

  test.each<[string, string, number]>([
    ['throws', `throw new Error('on purpose');`, 1],
    ['exits with 3', 'process.exit(3);', 3],
    ['exits with 0', 'process.exit(0);', 72],
  ])('a worker that %s ends the job with its code, and the server gets RankError', async (_, fault, exitCode) => {
    const code = `${problem}
      await world.barrier();
      if (world.rank === 0) {
        try {
          await serve();
        } catch ({ name, rank, exitCode }) {
          say({ name, rank, exitCode });
          process.exit(9);
        }
      } else if (world.rank === 1) await work(1e9);
      else {
        const worker = new DownpourWorker(world, w, { lr: 0.1 });
        for (let step = 0; step < 5; step++) await worker.step(gradient());
        void worker.step(gradient()); // its request stays open
        ${fault}
      }`;
    const { said, status } = await mpiJob(3, code);
    expect(said[0]).toEqual([{ name: 'RankError', rank: 2, exitCode }]);
    expect(status).toBe(exitCode);
  });

  test('examples/distributed/downpour under mpirun', async () => {
    const file = join(root, 'examples', 'distributed', 'downpour.mjs');
    expect(readFileSync(file, 'utf8')).toMatch(/^\/\/ mpirun -np 4 node examples\/distributed\/downpour\.mjs$/m);
    const { status, out, err } = await mpiJob(4, '', { file });
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^420 pushes, .* on average; lost workers: none$/m);
    expect(Number(/^accuracy (.*)$/m.exec(out)?.[1])).toBeGreaterThan(0.95);
  });
});
