// The table of faults for MPI: three ranks, and rank 2 misbehaves. The others wait in a collective.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import manifest from '../../../../package.json';
import { entry } from '../../../support/distributed/programs.js';
import { joined, started, type Watch } from '../../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';
import { root } from '../../../support/root.js';

const waiting = 'await world.allReduce(new Float32Array(1000));';
const isMpich = mpi?.name === 'MPICH';
/** `schuss launch`, and all words that follow are a command. */
const supervised = (...options: string[]): string[] => {
  const command = [process.execPath, join(root, manifest.bin.schuss), 'launch', ...options, '--'];
  return [...command, mpi!.mpirun];
};

/** Sends a signal to the launcher as soon as rank 0 has said something. */
function sending(signal: NodeJS.Signals): Watch {
  let isSent = false;
  return (kill, said) => {
    if (isSent || said === '') return;
    isSent = true;
    kill(signal); // timeout(1) passes it on
  };
}

/** Whether a process runs, or is stopped. A zombie counts as gone: nobody may reap it here. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

/** Ranks of Open MPI outlive a killed mpirun by a second or two. */
async function expectGone(pids: readonly number[]): Promise<void> {
  const end = performance.now() + 10_000;
  while (pids.some(isAlive) && performance.now() < end) await sleep(50);
  const alive = pids.filter(isAlive);
  for (const pid of alive) process.kill(pid, 'SIGKILL');
  expect(alive).toEqual([]);
}

describe.skipIf(mpi === undefined)(`under MPI ${withoutMpi}`, () => {
  test.each([
    ['SIGKILL', 137, 9],
    ['SIGSEGV', 139, 11],
  ] as const)('%s ends the job, with it in the exit code', async (signal, ofOpenMpi, ofMpich) => {
    const code = `${started} if (world.rank === 2) process.kill(process.pid, '${signal}'); ${waiting}`;
    expect((await mpiJob(3, code)).status).toBe(isMpich ? ofMpich : ofOpenMpi);
  });

  test('SIGSTOP: TimeoutError names it, the job ends with 71, and the stopped process with it', async () => {
    const code = `${started}
      if (world.rank === 2) {
        say(process.pid);
        process.kill(process.pid, 'SIGSTOP');
      }
      say(await attempt(() => world.allReduce(new Float32Array(1000), { timeout: 1000 })));
      await allSaid();`;
    const { said, status } = await mpiJob(3, code);
    await expectGone([said[2]![0] as number]);
    const error = 'TimeoutError: World: allReduce #2: rank 2 did not come within 1000 ms';
    for (const rank of [0, 1]) expect(said[rank]).toEqual([error]);
    expect(status).toBe(71);
  });

  test('lengths differ: RangeError on all three, and the world is usable', async () => {
    const code = `${joined}
      const x = () => new Float32Array(1000 - (world.rank === 2 ? 1 : 0));
      say(await attempt(() => world.allReduce(x())));
      say(await attempt(async () => world.allReduceSync(x())));
      say((await world.allReduce(new Float32Array(1000).fill(1)))[999]);`;
    const { said, status, err } = await mpiJob(3, code);
    const errors = [1, 2].map((n) => `RangeError: World: allReduce #${n}: rank 0 length 1000, rank 2 length 999`);
    expect(said).toEqual(Array(3).fill([...errors, 3]));
    expect([status, err]).toEqual([0, '']);
  });

  test.concurrent.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s to schuss launch: the ranks see world.interrupted, and after the grace all is over',
    async (signal, code) => {
      // Rank 1 looks, rank 2 does not: it would run for ever.
      const script = `${started}
      say(process.pid);
      if (world.rank === 2) for (;;);
      while (!world.interrupted.aborted) if (world.rank === 0) await sleep(10);
      say(world.interrupted.reason.message);
      await sleep(20_000);`;
      const { said, status, lastLine } = await mpiJob(3, script, {
        mpirun: supervised('--grace', '1500', '--restart', '2'),
        watch: sending(signal),
      });
      expect(status).toBe(code);
      expect(lastLine).toBe(`schuss launch: failed: exit code ${code}: interrupted by ${signal}`);
      // MPICH's mpirun may end its ranks before they can say anything.
      if (!isMpich)
        expect(said.map(([, ...after]) => after)).toEqual([
          [`the launcher got SIGTERM`],
          [`the launcher got SIGTERM`],
          [],
        ]);
      await expectGone(said.map(([pid]) => pid as number));
    },
  );

  test.concurrent('a rank whose step fails: an error of every rank, no rank steps, and the world is usable', async () => {
    const code = `${joined}
      import { AdamW } from '${entry('index.mjs')}';
      import { DataParallel, ShardedOptimizer } from '${entry('distributed', 'index.mjs')}';
      const reason = 'a hook'.padEnd(5000, '!'); // more than travels with a header
      for (const make of [
        (w) => ShardedOptimizer.create(AdamW, w, {}, world),
        (w) => ShardedOptimizer.create(AdamW, w, { clipNorm: 1 }, world),
        (w) => DataParallel.create(new AdamW(w), world),
      ]) {
        const w = new Float32Array(3000);
        const optimizer = await make(w);
        if (world.rank === 1) {
          const remove = optimizer.registerStepPreHook(() => {
            remove();
            throw new TypeError(reason);
          });
        }
        const error = await attempt(() => optimizer.step(new Float32Array(3000).fill(1)));
        say([error.replace(reason, 'a hook'), w.every((x) => x === 0)]);
        say((await optimizer.step(new Float32Array(3000).fill(1))).applied && w.every((x) => x < 0));
      }`;
    const { said, status, err } = await mpiJob(3, code);
    const names = ['ShardedOptimizer', 'ShardedOptimizer', 'DataParallel'];
    for (const rank of [0, 1, 2])
      expect(said[rank]).toEqual(
        names.flatMap((name) => {
          const error = rank === 1 ? 'TypeError: a hook' : `Error: ${name}.step: rank 1 failed: TypeError: a hook`;
          return [[error, true], true];
        }),
      );
    expect([status, err]).toEqual([0, '']);
  });

  // MPICH's may let them go on.
  test
    .skipIf(isMpich)
    .concurrent('a longer grace does not hold mpirun: it ends its ranks after a second at most', async () => {
      const script = `${started}
      say(process.pid);
      while (!world.interrupted.aborted) await sleep(10);
      await sleep(15_000);
      say('still here');`;
      const { said, status } = await mpiJob(2, script, {
        mpirun: supervised('--grace', '40000'),
        watch: sending('SIGTERM'),
      });
      expect(status).toBe(143);
      expect(said.flat()).toEqual([expect.any(Number), expect.any(Number)]);
    });

  test.concurrent('schuss launch tells the rank that failed and why, and starts the job again', async () => {
    const code = `${started}
      if (process.env.SCHUSS_RESTART === '0' && world.rank === 2) throw new TypeError('on purpose');
      ${waiting}
      say(process.env.SCHUSS_RESTART);`;
    const { said, status, err } = await mpiJob(3, code, { mpirun: supervised('--restart', '1') });
    expect(err).toContain('schuss launch: rank 2 failed: exit code 1: TypeError: on purpose; restart 1 of 1\n');
    expect(said).toEqual([['1'], ['1'], ['1']]);
    expect(status).toBe(0);
  });

  test('schuss launch names a rank on another host that failed, although it cannot leave a note', async () => {
    const code = `${started}
      if (world.rank === 2) {
        delete process.env.SCHUSS_ENDING;
        throw new TypeError('on purpose');
      }
      ${waiting}`;
    const { lastLine } = await mpiJob(3, code, { mpirun: supervised() });
    expect(lastLine).toBe('schuss launch: rank 2 failed: exit code 1: TypeError: on purpose');
  });
});
