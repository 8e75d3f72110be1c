// A job under MPI: agreement, deadlines, the end of ranks, and what init refuses.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { joined, started } from '../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../support/mpi-job.js';

/** What all ranks must say alike. */
const alike = (size: number, ...values: unknown[]): unknown[][] => Array.from({ length: size }, () => values);

describe.skipIf(mpi === undefined)(`under MPI ${withoutMpi}`, () => {
  test('a rank that does not connect: init() ends the job at its deadline, and says what to look for', async () => {
    const code = `
      if (ownRank === '1') await new Promise((resolve) => setTimeout(resolve, 30_000));
      await init({ timeout: 2000 });
      say('connected');`;
    const { said, status, err, ms } = await mpiJob(2, code);
    expect(said.flat()).toEqual([]);
    expect(err).toContain('init: MPI did not connect all ranks within 2000 ms: hosts with several networks');
    expect(status).not.toBe(0);
    expect(ms).toBeLessThan(25_000); // and does not wait for the other rank
  });

  test('the ranks know their place, and a difference is the same RangeError on every rank', async () => {
    const code = `${joined}
      const { rank, size } = world, x = new Float32Array(rank === 1 ? 99 : 100).fill(rank + 1);
      say([size, world.transport, world.localRank === rank, process.env.RANK === String(rank), process.env.WORLD_SIZE]);
      say([
        await attempt(() => world.allReduce(x)),
        await attempt(() => world.allReduce(new Float32Array(rank === 1 ? 5 : 5000))),
        await attempt(() => world.broadcast(new Float32Array(4), { root: rank === 1 ? 1 : 0 })),
        await attempt(() => world.allReduceSync(new Float32Array(4), { op: rank === 1 ? 'max' : 'sum' })),
        await attempt(() => (rank === 1 ? world.barrier() : world.allReduce(new Float32Array(4)))),
        await attempt(() => (rank === 0 ? world.close() : world.barrier())),
      ]);
      say([x.every((v) => v === rank + 1), (await world.allReduce(Float32Array.of(rank)))[0]]);
      await world.close();
      await world.close();
      say(await attempt(() => world.barrier()));
      process.exit(0);`;
    const { said, status, err } = await mpiJob(2, code);
    expect([status, err]).toEqual([0, '']);
    const errors = [
      'RangeError: World: allReduce #1: rank 0 length 100, rank 1 length 99',
      'RangeError: World: allReduce #2: rank 0 length 5000, rank 1 length 5',
      'RangeError: World: broadcast #3: rank 0 root 0, rank 1 root 1',
      'RangeError: World: allReduce #4: rank 0 op "sum", rank 1 op "max"',
      'RangeError: World: allReduce #5: rank 0 allReduce, rank 1 barrier',
      'RangeError: World: close #6: rank 0 close, rank 1 barrier',
    ];
    const place = [2, 'mpi', true, true, '2'];
    expect(said).toEqual(alike(2, place, errors, [true, 1], 'Error: World: barrier: the world is closed'));
  });

  test('several at once run in order, the event loop goes on, a signal cancels, the script ends naturally', async () => {
    const code = `${started}
      const { rank } = world, settled = [], controller = new AbortController();
      let ticks = 0;
      const timer = setInterval(() => ticks++, 10);
      timer.unref();
      if (rank === 1) await sleep(500);
      const all = [1, 2, 3].map((k) => world.allReduce(Float32Array.of(k)).then(([v]) => settled.push(v)));
      const waiting = rank === 1 ? undefined : attempt(() => world.barrier({ signal: controller.signal }));
      controller.abort(new Error('enough'));
      await Promise.all(all);
      const blocking = world.allReduceSync(Float32Array.of(10))[0];
      const x = new Float32Array(4);
      if (rank === 0) await sleep(500); // the array moves before they have met
      const moving = attempt(() => world.allReduce(x));
      if (rank === 1) structuredClone(x, { transfer: [x.buffer] });
      say([settled, blocking, ticks >= 5, rank === 1 || (await waiting), (await moving).split(':')[0]]);`;
    const { said, status, err } = await mpiJob(2, code);
    expect([status, err]).toEqual([0, '']);
    expect(said[0]).toEqual([[[2, 4, 6], 20, true, 'Error: enough', 'no error']]);
    expect(said[1]).toEqual([[[2, 4, 6], 20, true, true, 'TypeError']]);
  });

  test('a rank that is late: TimeoutError names it on every rank, and every later call throws the same', async () => {
    const code = `${started}
      if (world.rank === 2) await sleep(2500);
      let first;
      try {
        await world.allReduce(new Float32Array(3), { timeout: 700 });
      } catch (error) {
        first = error;
      }
      const again = await world.barrier().catch((error) => error === first);
      await world.close();
      say([first instanceof TimeoutError, first?.ranks, first?.message, again]);
      await allSaid();`;
    const { said, status } = await mpiJob(3, code);
    const message = 'World: allReduce #2: rank 2 did not come within 700 ms';
    expect(said).toEqual(alike(3, [true, [2], message, true]));
    expect(status).toBe(71);
  });

  test('a deadline also ends a blocking call, and the job of a rank that hangs', async () => {
    const code = `${started} if (world.rank === 1) for (;;); world.barrierSync({ timeout: 500 });`;
    const { status, err } = await mpiJob(2, code);
    expect(err).toContain('rank 0: TimeoutError: World: barrier #2: rank 1 did not come within 500 ms');
    expect(status).toBe(1);
  });

  test.each<[string, string, number, string]>([
    ['throw', `throw new Error('on purpose');`, 1, 'rank 1: Error: on purpose'],
    ['process.exit(3)', 'process.exit(3);', 3, 'rank 1: exited with code 3 before close()'],
    ['process.exit(0)', 'process.exit(0);', 72, 'rank 1: called process.exit(0) before close()'],
    ['abort', `world.abort(70, 'bad data');`, 70, 'rank 1: abort(70): bad data'],
  ])('%s: it says so, and its exit code is that of the job', async (name, fault, code, message) => {
    // Rank 1 may be gone before rank 0 has seen the end of their first barrier.
    const script = `${joined}
      if (world.rank === 1) { await world.barrier(); ${fault} }
      try {
        await world.barrier();
        await world.barrier();
      } catch (error) {
        say([error.name, error.rank, error.exitCode, error.message]);
        throw error;
      }`;
    const { status, err, said } = await mpiJob(2, script);
    expect(err).toContain(message);
    expect(status).toBe(code);
    // An abort ends all at once.
    if (name !== 'abort') expect(said[0]).toEqual([['RankError', 1, code, expect.stringMatching(/^World: rank 1: /)]]);
  });

  test('a script that ends while others wait: they get RankError', async () => {
    const code = `${started} if (world.rank === 0) { say(await attempt(() => world.barrier())); process.exit(5); }`;
    const { status, said } = await mpiJob(2, code);
    expect(said[0]).toEqual(['RankError: World: rank 1: left the job without taking part in barrier #2']);
    expect(status).toBe(5);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s to mpirun fires world.interrupted', async (signal) => {
    const code = `${started}
      say('here');
      if (world.rank === 0) await new Promise((resolve) => world.interrupted.addEventListener('abort', resolve));
      else while (!world.interrupted.aborted);
      say(world.interrupted.reason.message);
      await sleep(20_000);`;
    let isSent = false;
    const { said, status } = await mpiJob(2, code, {
      watch: (kill, text) => {
        if (isSent || !text.includes('here')) return;
        isSent = true;
        kill(signal); // timeout(1) passes it on
      },
    });
    expect(said[0]?.[0]).toBe('here');
    if (mpi!.name === 'MPICH') return; // it may end its ranks before they can say anything, and has no code for that
    expect(said).toEqual(alike(2, 'here', 'the launcher got SIGTERM')); // whatever mpirun got
    expect(status).not.toBe(0);
  });
});

const other = mpi?.name === 'MPICH' ? 'mpirun.openmpi' : 'mpirun.mpich';
const hasOther = mpi !== undefined && spawnSync(other, ['--version']).status === 0;

test.skipIf(!hasOther)(
  `the launcher of another MPI is an error, never n worlds of one ${hasOther ? '' : `SKIPPED: no ${other}`}`,
  async () => {
    const code = `say(await attempt(() => init()));`;
    const { said } = await mpiJob(2, code, { mpirun: [other] });
    for (const rank of [0, 1]) {
      expect(said[rank]?.[0]).toMatch(
        new RegExp(
          `^Error: init: .*launched 2 ranks, but ${mpi!.name} v?[\\w.]+, which schuss was built with, finds 1`,
        ),
      );
      expect(said[rank]?.[0]).toContain('npx schuss build --mpi');
    }
  },
);
