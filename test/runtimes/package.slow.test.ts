// Runtimes and test runners of users, each with a small program, against the built package in a separate folder.
// `npm ci --prefix test/runtimes` installs them.
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../support/root.js';

const run = promisify(execFile);
const installed = join(__dirname, 'node_modules');

const folder = mkdtempSync(join(tmpdir(), 'schuss-user-'));
beforeAll(() => {
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'schuss'), 'junction');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const program of ['smoke.mjs', 'worker.mjs']) cpSync(join(__dirname, program), join(folder, program));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function outputOf(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const [file, ...args] = command as [string, ...string[]];
  const { stdout, stderr } = await run(file, args, { cwd: folder, env: { ...process.env, ...env } });
  return stdout + stderr;
}

/** The program of a package for this platform: the only one of its kind that npm has installed. */
function binary(scope: string, inside: string): string[] | undefined {
  const packages = existsSync(join(installed, scope)) ? readdirSync(join(installed, scope)) : [];
  const file = packages.map((name) => join(installed, scope, name, inside)).find((path) => existsSync(path));
  return file === undefined ? undefined : [file];
}

const exists = (path: string, command: string[]): string[] | undefined => (existsSync(path) ? command : undefined);
const deno = join(installed, 'deno', 'bin.cjs');
const nodeOf = (alias: string): string => join(installed, alias, 'bin', 'node');

/** The command of each runtime; undefined if it is not installed. */
const runtimes: Readonly<Record<string, string[] | undefined>> = {
  'this Node': [process.execPath],
  'Node 22': exists(nodeOf('node-22'), [nodeOf('node-22')]),
  'Node 24': exists(nodeOf('node-24'), [nodeOf('node-24')]),
  Bun: binary('@oven', join('bin', process.platform === 'win32' ? 'bun.exe' : 'bun')),
  Deno: exists(deno, [process.execPath, deno, 'run', '--allow-all', '--node-modules-dir=manual']),
};

const missing = Object.keys(runtimes).filter((name) => runtimes[name] === undefined);
if (missing.length > 0) console.warn(`SKIPPED: no ${missing.join(', ')}: npm ci --prefix test/runtimes`);

describe('the smoke program gives the same bits', () => {
  interface Report {
    readonly name: string;
    readonly digest: string;
  }
  const reportOf = async (command: readonly string[], backend: string): Promise<Report> =>
    JSON.parse(await outputOf([...command, 'smoke.mjs'], { SCHUSS_BACKEND: backend }));
  const reference = reportOf([process.execPath], 'js');
  reference.catch(() => {}); // the tests report it

  for (const [name, command] of Object.entries(runtimes)) {
    test.skipIf(command === undefined).each(['native', 'js'])(`in ${name}, %s`, async (backend) => {
      const { name: ran, digest } = await reportOf(command as string[], backend);
      expect(ran).toBe(backend);
      expect(digest).toBe((await reference).digest);
    });
  }
});

describe("a user's tests pass", () => {
  const program = readFileSync(join(__dirname, 'training.cjs'), 'utf8');

  /** A project with a user's tests, and a config if the runner needs one. */
  function project(name: string, files: Readonly<Record<string, string>>): string {
    const path = join(folder, name);
    mkdirSync(path);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return path;
  }

  const jest = join(installed, 'jest', 'bin', 'jest.js');
  test.skipIf(!existsSync(jest))('under Jest, whose Float32Array is not that of the runtime', async () => {
    const path = project('jest', { 'training.test.cjs': program, 'package.json': '{}' });
    const output = await outputOf([process.execPath, jest, '--rootDir', path, '--testMatch', '**/*.test.cjs']);
    expect(output).toMatch(/Tests: +7 passed, 7 total/);
  });

  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  test.each(['forks', 'threads', 'vmThreads'])('under Vitest, pool %s', async (pool) => {
    const path = project(`vitest-${pool}`, {
      'training.test.mjs': program.replace("= require('schuss')", "= await import('schuss')"),
      'vitest.config.mjs': `export default { test: { globals: true, pool: '${pool}' } };`,
    });
    const output = await outputOf([process.execPath, vitest, 'run', '--root', path], {
      NO_COLOR: '1',
      FORCE_COLOR: '0',
    });
    expect(output).toMatch(/Tests +7 passed \(7\)/);
  });
});
