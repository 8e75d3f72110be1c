// The launcher: restarts, signals, another launcher, and the same from JavaScript.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { runWorkers } from '../../../lib/distributed/index.js';
import { job, joined, launch, type Watch } from '../../support/job.js';

const sorted = (text: string): string[] => text.trimEnd().split('\n').toSorted();

describe('restarts', () => {
  const failing = (code: number, until: number): string => `
    const restart = Number(process.env.SCHUSS_RESTART);
    if (process.env.RANK === '0') console.log('start ' + restart);
    if (restart < ${until}) process.exit(${code});`;

  test('the whole job starts again, until it succeeds', async () => {
    const { status, out, err } = await job(2, failing(7, 2), { options: ['--restart', '3'] });
    expect(sorted(out)).toEqual(['[0] start 0', '[0] start 1', '[0] start 2']);
    expect(err).toMatch(/rank \d failed: exit code 7: exited with code 7; restart 1 of 3\n.*restart 2 of 3\n$/);
    expect(status).toBe(0);
  });

  test('at most N times', async () => {
    const { status, out } = await job(1, failing(7, 9), { options: ['--restart', '1'] });
    expect([status, sorted(out)]).toEqual([7, ['[0] start 0', '[0] start 1']]);
  });

  test('not after 2', async () => {
    const { status, out } = await job(1, failing(2, 9), { options: ['--restart', '1'] });
    expect([status, sorted(out)]).toEqual([2, ['[0] start 0']]);
  });

  test('also after a kill -9', async () => {
    const code = `if (process.env.SCHUSS_RESTART === '0') process.kill(process.pid, 'SIGKILL'); say(1);`;
    const { status, said, err } = await job(1, code, { options: ['--restart', '1'] });
    expect([status, said]).toEqual([0, [[1]]]);
    expect(err).toContain('schuss launch: failed: exit code 137: ended by SIGKILL; restart 1 of 1');
  });
});

describe('signals', () => {
  const once = (signal: NodeJS.Signals): Watch => {
    let isSent = false;
    return (kill, out) => {
      if (isSent || !out.includes('[0] say "ready"') || !out.includes('[1] say "ready"')) return;
      isSent = true;
      kill(signal);
    };
  };

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s fires world.interrupted, and the job ends with %i', async (signal, code) => {
    const script = `${joined}
      world.interrupted.addEventListener('abort', () => { say(world.interrupted.reason.message); clearInterval(timer); });
      const timer = setInterval(() => {}, 1000);
      say('ready');`;
    const { status, said, lastLine } = await job(2, script, { watch: once(signal) });
    expect(said).toEqual([
      ['ready', `the launcher got ${signal}`],
      ['ready', `the launcher got ${signal}`],
    ]);
    expect(status).toBe(code);
    expect(lastLine).toBe(`schuss launch: failed: exit code ${code}: interrupted by ${signal}`);
  });

  test('a loop that blocks sees it too', async () => {
    const script = `${joined} say('ready'); while (!world.interrupted.aborted) world.barrierSync({ timeout: 9000 }); say('seen');`;
    const { status, said } = await job(2, script, { watch: once('SIGTERM') });
    expect(said.map((values) => values.at(0))).toEqual(['ready', 'ready']);
    expect(said.flat()).toContain('seen');
    expect(status).toBe(143);
  });

  test('after the grace everything ends, and there is no restart', async () => {
    const script = `${joined} say('ready'); for (;;);`;
    const { status, out } = await job(2, script, {
      watch: once('SIGTERM'),
      options: ['--grace', '300', '--restart', '5'],
    });
    expect(status).toBe(143);
    expect(sorted(out)).toEqual(['[0] say "ready"', '[1] say "ready"']);
  });
});

describe('another launcher after --', () => {
  test('its output and exit code are passed on, and it is started again', async () => {
    const code = `console.log(process.env.SCHUSS_RESTART, process.env.SCHUSS_DIST_TIMEOUT, process.argv[1]); process.exit(process.env.SCHUSS_RESTART === '1' ? 0 : 4)`;
    const { status, out, err } = await launch(['--restart', '2', '--timeout', '7', '--', 'node', '-e', code, 'arg']);
    expect(out).toBe('0 7 arg\n1 7 arg\n');
    expect(err).toBe('schuss launch: failed: exit code 4; restart 1 of 2\n');
    expect(status).toBe(0);
  });

  test('a command that is missing', async () => {
    const { status, lastLine } = await launch(['--', 'no-such-command']);
    expect(lastLine).toBe('schuss launch: failed: exit code 127: spawn no-such-command ENOENT');
    expect(status).toBe(127);
  });
});

describe('runWorkers', () => {
  test('tells exit code, rank, reason and restarts; an abort of the signal counts as SIGTERM', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'schuss-workers-'));
    try {
      const file = join(folder, 'script.cjs');
      const log = join(folder, 'log');
      writeFileSync(
        file,
        `require('fs').appendFileSync(process.env.LOG, process.argv[2]); process.exit(process.env.RANK === '1' ? 6 : 0);`,
      );
      // The launcher's files are compiled, so the built package runs.
      const { runWorkers: built } = require('../../../dist/distributed/index.js') as { runWorkers: typeof runWorkers };
      const result = await built(file, { size: 2, argv: ['x'], env: { LOG: log }, restarts: 1 });
      expect(result).toEqual({ exitCode: 6, rank: 1, reason: 'exited with code 6', restarts: 1 });
      expect(readFileSync(log, 'utf8')).toBe('xxxx');
      writeFileSync(file, 'for (;;);');
      const signal = AbortSignal.timeout(500);
      const ended = await built(file, { size: 1, grace: 100, restarts: 3, signal });
      expect(ended).toEqual({ exitCode: 143, reason: 'interrupted by SIGTERM', restarts: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
