// The launcher: output, exit codes, and what it refuses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runWorkers } from '../../../lib/distributed/index.js';
import { job, joined, launch } from '../../support/job.js';

const sorted = (text: string): string[] => text.trimEnd().split('\n').toSorted();

describe('output', () => {
  test('each line has its rank, also the last one without an end, and none is lost', async () => {
    const code = `
      process.stdout.write('a\\nb');
      for (let i = 0; i < 2000; i++) console.log(i);
      console.error('to stderr');
      process.stdout.write('end');
      process.exit(0);`;
    const { out, err } = await job(2, code);
    const lines = (rank: number): string[] => [
      `[${rank}] a`,
      `[${rank}] b0`,
      ...Array.from({ length: 1999 }, (_, i) => `[${rank}] ${i + 1}`),
      `[${rank}] end`,
    ];
    for (const rank of [0, 1])
      expect(out.split('\n').filter((line) => line.startsWith(`[${rank}]`))).toEqual(lines(rank));
    expect(sorted(err)).toEqual(['[0] to stderr', '[1] to stderr']);
  });

  test('a rank that blocks has its lines written at once', async () => {
    const { out } = await job(1, `console.log('before'); console.log('too'); process.kill(process.pid, 'SIGKILL');`);
    expect(out).toBe('[0] before\n[0] too\n');
  });
});

describe('exit codes', () => {
  test.each<[string, string, number, string]>([
    [
      'process.exitCode',
      'if (world.rank === 1) process.exitCode = 5;',
      5,
      'rank 1 failed: exit code 5: exited with code 5',
    ],
    [
      'abort',
      `if (world.rank === 1) world.abort(9, 'no data'); await world.barrier();`,
      9,
      'rank 1 failed: exit code 9: abort(9): no data',
    ],
    [
      'a missing module',
      `if (world.rank === 0) await import('nowhere'); await world.barrier();`,
      1,
      "rank 0 failed: exit code 1: Error: Cannot find package 'nowhere'",
    ],
    ['an await without end', 'if (world.rank === 1) await new Promise(() => {});', 13, 'rank 1 failed: exit code 13'],
  ])('%s', async (_, code, status, message) => {
    const result = await job(2, joined + code);
    expect(result.lastLine).toContain(`schuss launch: ${message}`);
    expect(result.status).toBe(status);
  });
});

test('a syntax error names the script, and a TypeScript file says how to run it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-launch-'));
  try {
    const [broken, typed] = [join(folder, 'broken.mjs'), join(folder, 'typed.ts')];
    writeFileSync(broken, 'const x = ;');
    const { err, lastLine } = await launch(['-n', '1', broken]);
    expect(err).toMatch(`[0] In ${broken}, or in a module that it imports:\n[0] SyntaxError`);
    expect(lastLine).toBe("schuss launch: rank 0 failed: exit code 1: SyntaxError: Unexpected token ';'");
    writeFileSync(typed, 'const x: number = 1; console.log(x);');
    const ran = await launch(['-n', '1', typed]);
    if (ran.status === 0)
      expect(ran.out).toBe('[0] 1\n'); // later Nodes strip types
    else expect(ran.err).toContain("launch a module that registers tsx: import { register } from 'tsx/esm/api'");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each<[string, string[], string]>([
  ['no -n', ['train.mjs'], 'schuss launch: -n is missing'],
  ['-n 0', ['-n', '0', 'train.mjs'], 'schuss launch: -n: 0, expected an integer in [1, inf)'],
  ['-n four', ['-n', 'four', 'train.mjs'], 'schuss launch: -n: "four", expected an integer in [1, inf)'],
  [
    '-np 2',
    ['-np', '2', 'train.mjs'],
    'schuss launch: -n: "p", expected an integer in [1, inf) (-np of mpirun is -n here)',
  ],
  [
    'an option of torchrun',
    ['--nproc_per_node', '2', 'x.mjs'],
    '--nproc_per_node of torchrun is -n, --max_restarts is --restart',
  ],
  ['a missing file', ['-n', '2', 'nowhere.mjs'], 'nowhere.mjs: no such file'],
  ['a folder', ['-n', '2', __dirname], 'launch: no such file'],
  ['-n with a command', ['-n', '2', '--', 'node'], 'the command after -- starts its own ranks'],
  ['--restart -1', ['-n', '2', '--restart', '-1', 'x.mjs'], 'schuss launch: --restart: -1, expected an integer'],
  ['--grace', ['-n', '2', '--grace', 'x', 'x.mjs'], 'schuss launch: --grace: "x", expected'],
  ['no words', ['-n', '2'], 'missing required argument'],
])('%s is refused', async (_, words, message) => {
  const { status, err } = await launch(words);
  expect(err).toContain(message);
  expect(status).toBe(1);
});

describe('runWorkers', () => {
  test.each<[string, unknown, unknown, ErrorConstructor, string]>([
    ['a size of 0', __filename, { size: 0 }, RangeError, 'runWorkers: size: 0, expected an integer in [1, inf)'],
    ['half a rank', __filename, { size: 1.5 }, RangeError, 'runWorkers: size: 1.5, expected an integer'],
    ['no size', __filename, {}, TypeError, 'runWorkers: size: undefined, expected an integer'],
    ['an unknown option', __filename, { size: 1, ranks: 2 }, TypeError, 'runWorkers: ranks: unknown option'],
    ['a missing file', 'nowhere.mjs', { size: 1 }, RangeError, 'nowhere.mjs", expected a file that exists'],
    ['a folder', __dirname, { size: 1 }, RangeError, 'launch", expected a file that exists'],
    ['a number for the file', 5, { size: 1 }, TypeError, 'runWorkers: file: 5, expected a path or a file URL'],
    ['argv', __filename, { size: 1, argv: [1] }, TypeError, 'runWorkers: argv: [1], expected a list of strings'],
    [
      'env',
      __filename,
      { size: 1, env: { A: 1 } },
      TypeError,
      'runWorkers: env: an object, expected a record of strings',
    ],
    ['restarts', __filename, { size: 1, restarts: -1 }, RangeError, 'runWorkers: restarts: -1, expected'],
    ['a signal', __filename, { size: 1, signal: 1 }, TypeError, 'runWorkers: signal: 1, expected an AbortSignal'],
  ])('refuses %s', async (_, file, options, Type, message) => {
    const error = await runWorkers(file as string, options as { size: number }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Type);
    expect((error as Error).message).toContain(message);
  });
});
