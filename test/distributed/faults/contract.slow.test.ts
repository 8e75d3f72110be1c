// The table of faults for worker threads: three ranks, and rank 2 misbehaves. The others wait in a collective whose deadline
// is ten minutes, so a job that ends in this test has learnt of the fault.
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type JobOutput, job, joined } from '../../support/job.js';

/** How the others wait. */
const waiting = (options = '{}'): string => `await world.allReduce(new Float32Array(1000), ${options});`;
const blocking = (options = '{}'): string => `world.allReduceSync(new Float32Array(1000), ${options});`;

/** Ranks 0 and 1 make a call when rank 2 runs `fault`. They say their error, then fail with it. */
const script = (fault: string, call: string): string => `${joined}
  const fault = async () => { ${fault} };
  await world.barrier();
  if (world.rank === 2) await sleep(200).then(fault);
  else
    try {
      ${call}
      say('done');
    } catch (error) {
      const { name, message, rank, exitCode, reason, ranks } = error;
      say({ name, message, rank, exitCode, reason, ranks });
      throw error;
    }`;

const lastOf = ({ lastLine }: JobOutput): string | undefined => lastLine?.replace('schuss launch: ', '');

describe.each([
  ['waiting', waiting],
  ['blocking', blocking],
] as const)('the others are %s', (_, call) => {
  test.each<[string, string, number, string]>([
    ['throw', `throw new Error('on purpose');`, 1, 'Error: on purpose'],
    [
      'a rejection that nobody handles',
      `Promise.reject(new TypeError('lost')); await sleep(5000);`,
      1,
      'TypeError: lost',
    ],
    ['process.exit(3)', 'process.exit(3);', 3, 'exited with code 3 before close()'],
    ['process.exit(0) before close', 'process.exit(0);', 72, 'called process.exit(0) before close()'],
    ['abort', `world.abort(70, 'bad data');`, 70, 'abort(70): bad data'],
    [
      'out of memory',
      'const all = []; for (;;) all.push(new Array(1e6).fill(1));',
      1,
      'Error: Worker terminated due to reaching memory limit',
    ],
  ])('%s: RankError on the others, and its exit code', async (_, fault, code, reason) => {
    const env = fault.startsWith('const all') ? { NODE_OPTIONS: '--max-old-space-size=64' } : {};
    const result = await job(3, script(fault, call()), { env });
    expect(result.status).toBe(code);
    expect(lastOf(result)).toMatch(`rank 2 failed: exit code ${code}: ${reason}`);
    if (fault.includes('abort')) return; // it ends all at once
    const error = { name: 'RankError', rank: 2, exitCode: code, reason: expect.stringContaining(reason) };
    for (const rank of [0, 1])
      expect(result.said[rank]).toEqual([{ ...error, message: expect.stringContaining(`World: rank 2: ${reason}`) }]);
  });

  test('its script ends naturally: they get RankError', async () => {
    const result = await job(3, script('', call()));
    const reason = 'left the job without taking part in allReduce #2';
    for (const rank of [0, 1])
      expect(result.said[rank]).toEqual([
        { name: 'RankError', rank: 2, exitCode: 0, reason, message: `World: rank 2: ${reason}` },
      ]);
    expect(result.status).toBe(1);
    expect(lastOf(result)).toMatch(new RegExp(`^rank [01] failed: exit code 1: RankError: World: rank 2: ${reason}`));
  });

  test('it spins for ever: TimeoutError names it, and the job ends', async () => {
    const result = await job(3, script('for (;;);', call('{ timeout: 800 }')));
    const message = 'World: allReduce #2: rank 2 did not come within 800 ms';
    for (const rank of [0, 1]) expect(result.said[rank]).toEqual([{ name: 'TimeoutError', ranks: [2], message }]);
    expect(result.status).toBe(1);
    expect(lastOf(result)).toMatch(/^rank [01] failed: exit code 1: TimeoutError: World: allReduce #2: rank 2 did not/);
  });

  test('its length differs: RangeError on all three, and the world is usable', async () => {
    const code = `${joined}
      const own = (n) => n - (world.rank === 2 ? 1 : 0);
      say(await attempt(async () => { ${call().replace('1000', 'own(1000)')} }));
      ${call()}
      say('usable');`;
    const { said, status } = await job(3, code);
    const all = ['RangeError: World: allReduce #1: rank 0 length 1000, rank 2 length 999', 'usable'];
    expect(said).toEqual([all, all, all]);
    expect(status).toBe(0);
  });
});

test.each([
  ['SIGKILL', 137],
  ['SIGSEGV', 139],
] as const)('%s takes the process of all ranks: the launcher says so', async (signal, code) => {
  const result = await job(3, script(`process.kill(process.pid, '${signal}'); await sleep(5000);`, waiting()));
  expect(result.status).toBe(code);
  expect(lastOf(result)).toBe(`failed: exit code ${code}: ended by ${signal}`);
});

test('SIGSTOP stops all ranks: nobody has a deadline, and the grace of the launcher ends them', async () => {
  let isSent = false;
  const code = `${joined} say(process.pid); await sleep(100); process.kill(process.pid, 'SIGSTOP'); await sleep(50_000);`;
  const { said, status, lastLine } = await job(1, code, {
    options: ['--grace', '300'],
    watch: (kill) => {
      if (!isSent) setTimeout(() => kill('SIGTERM'), 500);
      isSent = true;
    },
  });
  expect([status, lastLine]).toEqual([143, 'schuss launch: failed: exit code 143: interrupted by SIGTERM']);
  expect(() => process.kill(said[0]![0] as number, 0)).toThrow('ESRCH');
});

test('when the launcher is killed, no rank stays', async () => {
  const mark = `mark-${process.pid}-${Math.floor(performance.now())}`;
  const code = `${joined} say(process.pid); for (;;);`;
  const result = await job(2, code, {
    args: [mark],
    watch: (kill, out) => {
      if (out.includes('[1] say')) kill('SIGKILL');
    },
  });
  expect(result.status).toBe(null);
  const isAlive = (): boolean => {
    try {
      // A zombie counts as gone: nobody may reap it here.
      return !/^\s*Z/.test(execFileSync('ps', ['-o', 'stat=', '-p', `${result.said[0]![0]}`], { encoding: 'utf8' }));
    } catch {
      return false;
    }
  };
  const end = performance.now() + 10_000;
  while (isAlive() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isAlive()).toBe(false);
});

test('a rank that never calls init: the others get RankError', async () => {
  const code = `if (process.env.RANK === '2') process.exitCode = 0; else { ${joined.replace('const world', 'globalThis.world')}
    say(await attempt(() => world.barrier())); }`;
  const { said } = await job(3, code);
  const error = 'RankError: World: rank 2: ended without taking part';
  expect(said.slice(0, 2)).toEqual([[error], [error]]);
});

test('after 60 s a rank that waits says for whom', { timeout: 120_000 }, async () => {
  const code = `${joined} if (world.rank === 1) await sleep(62_000); await world.barrier(); say('done');`;
  const { said, err, status } = await job(2, code);
  expect(err).toBe('[0] World: rank 0 has waited 60 s in barrier #1 for rank 1\n');
  expect(said).toEqual([['done'], ['done']]);
  expect(status).toBe(0);
});
