// Downpour SGD on threads: workers that are slow or die, and servers that fail.
import { describe, expect, test } from 'vitest';
import { leastSquares } from '../../support/distributed/programs.js';
import { type Gradient, roundRobin } from '../../support/distributed/round-robin.js';
import { type JobOptions, type JobOutput, job } from '../../support/job.js';

/** Least squares: rank 0 is the server. */
const problem = `${leastSquares}
  const serve = async (options = {}) => {
    const optimizer = (params) => new Adagrad(params, { lr: 0.5 });
    const { pushes, lost, nonFinite } = await new ParameterServer(world, w, { optimizer, ...options }).serve();
    say({ pushes, lost, nonFinite });
  };
  const work = async (steps, afterStep = () => {}) => {
    const worker = new DownpourWorker(world, w, { lr: 0.1 });
    for (let step = 1; step <= steps; step++) {
      await worker.step(gradient());
      await afterStep(step);
    }
    await worker.close();
  };
`;

const run = (size: number, code: string, options?: JobOptions): Promise<JobOutput> =>
  job(size, problem + code, options);

/** Three workers: one is slow, and the last one runs a fault after 40 steps. */
const faulty = (fault: string): string => `
  if (world.rank === 0) await serve();
  else if (world.rank === 1) await work(300);
  else if (world.rank === 2) await work(30, () => sleep(5));
  else await work(300, (step) => { if (step === 40) { ${fault} } });
  say([loss(), digest(w)]);`;

describe('a worker dies, another one is slow, and the rest reaches the goal', () => {
  test.each<[string, string, number, string]>([
    ['exit 3', 'process.exit(3);', 3, 'exited with code 3 before close()'],
    ['exit 0', 'process.exit(0);', 72, 'called process.exit(0) before close()'],
    ['throw', `throw new Error('on purpose');`, 1, 'Error: on purpose'],
    ['a rejection', `Promise.reject(new Error('lost')); return sleep(5000);`, 1, 'Error: lost'],
    [
      'out of memory',
      'const all = []; for (;;) all.push(new Array(1e6).fill(1));',
      1,
      'Error: Worker terminated due to reaching memory limit',
    ],
  ])('%s', async (_, fault, code, reason) => {
    const env = fault.startsWith('const all') ? { NODE_OPTIONS: '--max-old-space-size=64' } : {};
    const { status, err, said } = await run(4, faulty(fault), { env });
    expect(status, err).toBe(0);
    expect(err).toContain(`schuss launch: rank 3 was lost: exit code ${code}: ${reason}`);
    expect(said[0]![0]).toEqual({ pushes: 300 + 30 + 40, lost: [3], nonFinite: 0 });
    const [loss, bits] = said[0]![1] as [number, string];
    expect(loss).toBeLessThan(1e-3);
    expect([said[1], said[2], said[3]]).toEqual([[[loss, bits]], [[loss, bits]], undefined]);
  });
});

test('all workers die: the server ends, and so does the job, with the code of the first', async () => {
  const { status, said, lastLine } = await run(
    3,
    `if (world.rank === 0) await serve(); else await work(9, () => process.exit(3));`,
  );
  expect(status).toBe(3);
  expect(lastLine).toMatch(/^schuss launch: rank [12] failed: exit code 3: exited with code 3/);
  expect(said[0]).toEqual([{ pushes: 2, lost: [1, 2], nonFinite: 0 }]);
});

test('half a push of a dead worker is not applied', async () => {
  const code = `
    const big = new Float32Array(1e6);
    if (world.rank === 0) {
      const optimizer = (params) => new Adagrad(params, { lr: 1 });
      const { pushes, lost } = await new ParameterServer(world, big, { optimizer }).serve();
      say([pushes, lost, big.every((x) => x === big[0])]);
    } else {
      const worker = new DownpourWorker(world, big, { lr: 0 });
      await worker.fetch();
      const grads = new Float32Array(1e6).fill(1);
      if (world.rank === 1) for (let step = 0; step < 3; step++) await worker.step(grads);
      else {
        setTimeout(() => process.exit(1), 1);
        void worker.step(grads);
        await sleep(60_000);
      }
      await worker.close();
    }`;
  const { status, said, err } = await run(3, code);
  expect(status, err).toBe(0);
  const [[pushes, lost, isWhole]] = said[0] as [[number, number[], boolean]];
  expect([lost, isWhole]).toEqual([[2], true]);
  expect([3, 4]).toContain(pushes);
});

test('round robin: a lost worker leaves the round, and the bits are those of a worker that closes', async () => {
  const f = Math.fround;
  const steps = [20, 7, 20];
  const code = `
    const f = Math.fround;
    if (world.rank === 0) await serve({ order: 'roundRobin' });
    else {
      const worker = new DownpourWorker(world, w, { lr: 0.125, fetchEvery: 2 });
      await worker.fetch();
      for (let step = 1; step <= 20; step++) {
        await sleep(3 * Math.random());
        await worker.step(w.map((x, i) => f(x - f(world.rank * i)) * (1 + (step % 3))));
        if (world.rank === 2 && step === 7) { await worker.push(); process.exit(5); }
      }
      await worker.close();
    }
    say([...w]);`;
  const gradient: Gradient = (worker, step, w) => w.map((x, i) => f(f(x - f((worker + 1) * i)) * (1 + (step % 3))));
  const plan = { steps, fetchEvery: 2, pushEvery: 1, warmStart: 0, maxStaleness: 1 / 0, localLr: 0.125, lr: 0.5 };
  const { status, said } = await run(4, code);
  expect(status).toBe(0);
  const expected = roundRobin(plan, new Array(20).fill(0), gradient);
  expect(said[0]).toEqual([{ pushes: expected.pushes, lost: [2], nonFinite: 0 }, expected.w]);
  expect([said[1], said[3]]).toEqual([[expected.w], [expected.w]]);
});

describe('a server that fails ends the job', () => {
  const fails = (fault: string): string => `
    if (world.rank === 0) {
      const optimizer = (params) => {
        const adagrad = new Adagrad(params);
        adagrad.registerStepPostHook(() => { if (adagrad.stepCount === 30) { ${fault} } });
        return adagrad;
      };
      await new ParameterServer(world, w, { optimizer }).serve();
    } else {
      try {
        await work(1000);
      } catch (error) {
        say([error.name, error.rank, error.reason]);
        throw error;
      }
    }`;
  test.each<[string, string, number, string]>([
    ['exit 3', 'process.exit(3);', 3, 'exited with code 3 before close()'],
    ['throw', `throw new TypeError('on purpose');`, 1, 'TypeError: on purpose'],
  ])('%s', async (_, fault, code, reason) => {
    const { status, said, lastLine } = await run(3, fails(fault));
    expect(status).toBe(code);
    expect(lastLine).toBe(`schuss launch: rank 0 failed: exit code ${code}: ${reason}`);
    for (const rank of [1, 2]) expect(said[rank]).toEqual([['RankError', 0, reason]]);
  });
});

test('collectives that a lost rank misses are RankError on the others; barrier and close go on', async () => {
  const code = `
    if (world.rank === 0) await serve();
    else await work(5, (step) => { if (world.rank === 2 && step === 3) process.exit(4); });
    await world.barrier();
    say(await attempt(() => world.allReduce(new Float32Array(3_000_000))));
    say(await attempt(() => world.allGatherObject(1)));
    world.barrierSync();
    say(await attempt(() => world.broadcast(w)));
    await world.close();`;
  const { status, said } = await run(4, code);
  const error = 'RankError: World: rank 2: was lost with exit code 4';
  expect(said[0]!.slice(1)).toEqual([error, error, error]);
  expect([said[1], said[3]]).toEqual([
    [error, error, error],
    [error, error, error],
  ]);
  expect(status).toBe(0);
});

test('after close() the death of a rank ends the job', async () => {
  const code = `
    if (world.rank === 0) await serve(); else await work(5);
    if (world.rank === 1) process.exit(6);
    say(await attempt(() => world.barrier()));`;
  const { status, said, lastLine } = await run(3, code);
  expect(status).toBe(6);
  expect(said[0]![1]).toBe('RankError: World: rank 1: exited with code 6 before close()');
  expect(lastLine).toBe('schuss launch: rank 1 failed: exit code 6: exited with code 6 before close()');
});

test('the natural end of a script closes its worker', async () => {
  const code = `
    if (world.rank === 0) await serve();
    else {
      const worker = new DownpourWorker(world, w, { lr: 1, pushEvery: 3, fetchEvery: 9 });
      for (let step = 0; step < 4; step++) await worker.step(gradient());
    }`;
  const { status, said, err } = await run(3, code);
  expect([status, err]).toEqual([0, '']);
  expect(said[0]).toEqual([{ pushes: 4, lost: [], nonFinite: 0 }]);
});

test('params that differ end the job with the RangeError', async () => {
  const code = `
    if (world.rank === 0) await serve();
    else await new DownpourWorker(world, world.rank === 2 ? w.subarray(1) : w, { lr: 1 }).fetch();`;
  const { status, lastLine } = await run(3, code);
  const error = 'RangeError: DownpourWorker: params[0]: rank 0 0 of length 20, rank 2 0 of length 19';
  expect([status, lastLine]).toEqual([1, `schuss launch: rank 2 failed: exit code 1: ${error}`]);
});
