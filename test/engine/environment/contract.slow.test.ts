// What environment variables select, and what happens without an addon. Each test runs in another process, with a copy of
// lib/ compiled by esbuild.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../../lib/engine/native.js';
import { findAddon } from '../../../lib/engine/prebuilds.js';
import { remedyFor } from '../../../lib/engine/remedy.js';
import type { Any } from '../../support/rig.js';
import { root } from '../../support/root.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const isas = ['avx512', 'avx2', 'sse2', 'neon', 'scalar'] as const;
const here = loadAddon().isas;

const folder = mkdtempSync(join(tmpdir(), 'schuss-backend-'));
const full = join(folder, 'full');
const bare = join(folder, 'bare');

beforeAll(() => {
  const sources = readdirSync(join(root, 'lib'), { encoding: 'utf8', recursive: true });
  buildSync({
    entryPoints: sources.filter((name) => name.endsWith('.ts')).map((name) => join(root, 'lib', name)),
    outbase: join(root, 'lib'),
    outdir: join(full, 'dist'),
    format: 'cjs',
    platform: 'node',
    target: 'es2022',
  });
  for (const place of [full, bare]) {
    mkdirSync(place, { recursive: true });
    cpSync(join(root, 'package.json'), join(place, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  }
  cpSync(join(full, 'dist'), join(bare, 'dist'), { recursive: true });
  const { file } = findAddon();
  mkdirSync(dirname(join(full, file)), { recursive: true });
  cpSync(join(root, file), join(full, file));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Steps every class, and prints what ran and the bits that came out; or the error. */
const program = `
  const { backend, allocate, optimizers } = require('./dist/index.js');
  try {
    const bits = Object.entries(optimizers).map(([name, Class]) => {
      const w = allocate(37).map((_, i) => Math.sin(i + 1)), g = w.map((x) => x * x - 0.3);
      const optimizer = new Class([w], { lr: 0.1, ema: 0.9, clipNorm: 1 });
      for (let s = 0; s < 3; s++) optimizer.step([g], Class.needsLoss ? { loss: 1 } : {});
      return [name, Buffer.from(w.buffer, w.byteOffset, w.byteLength).toString('hex'), Buffer.from(optimizer.emaParams[0].slice().buffer).toString('hex')];
    });
    console.log(JSON.stringify({ ...backend(), bits }));
  } catch (e) {
    console.log(JSON.stringify({ error: e.constructor.name, message: e.message }));
  }`;

function run(place: string, environment: Record<string, string> = {}) {
  const { SCHUSS_BACKEND: _b, SCHUSS_ISA: _i, SCHUSS_THREADS: _t, NODE_OPTIONS: _o, ...rest } = process.env;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], {
    cwd: place,
    encoding: 'utf8',
    env: { ...rest, ...environment },
  });
  expect({ status, stderr: stdout === '' ? stderr : '' }).toEqual({ status: 0, stderr: '' });
  return { ...(JSON.parse(stdout) as Any), warnings: stderr };
}

describe('environment variables', () => {
  test.each<[Record<string, string>, Record<string, unknown>]>([
    [{}, { name: 'native', isa: here[0], threads: availableParallelism() }],
    [
      { SCHUSS_BACKEND: '', SCHUSS_ISA: '', SCHUSS_THREADS: '' },
      { name: 'native', isa: here[0], threads: availableParallelism() },
    ],
    [
      { SCHUSS_BACKEND: 'native', SCHUSS_THREADS: '2' },
      { name: 'native', isa: here[0], threads: 2 },
    ],
    [
      { SCHUSS_BACKEND: 'js', SCHUSS_THREADS: '2' },
      { name: 'js', isa: 'scalar', threads: 1 },
    ],
    [
      { SCHUSS_BACKEND: 'js', SCHUSS_ISA: 'scalar' },
      { name: 'js', isa: 'scalar' },
    ],
    ...here.map((isa): [Record<string, string>, Record<string, unknown>] => [
      { SCHUSS_ISA: isa },
      { name: 'native', isa },
    ]),
  ])('%j', (environment, expected) => {
    const { bits, warnings, ...found } = run(full, environment);
    expect(found).toMatchObject({ ...expected, version });
    expect(warnings).toBe('');
    expect(bits).toEqual(reference());
  });

  let known: unknown;
  const reference = () => (known ??= run(full, { SCHUSS_BACKEND: 'js' }).bits);

  const absent = isas.find((isa) => !here.includes(isa)) as string;
  test.each<[Record<string, string>, string]>([
    [{ SCHUSS_BACKEND: 'foo' }, 'schuss: SCHUSS_BACKEND: "foo", expected "js" or "native"'],
    [{ SCHUSS_BACKEND: 'JS' }, 'schuss: SCHUSS_BACKEND: "JS", expected "js" or "native"'],
    [{ SCHUSS_ISA: 'foo' }, 'schuss: SCHUSS_ISA: "foo", expected "avx512" or'],
    [{ SCHUSS_ISA: absent }, `schuss: SCHUSS_ISA: "${absent}", expected one that this machine has: "${here[0]}"`],
    [
      { SCHUSS_BACKEND: 'js', SCHUSS_ISA: 'sse2' },
      'schuss: SCHUSS_ISA: "sse2", expected "scalar" with SCHUSS_BACKEND=js',
    ],
    ...['0', 'x', '1e1', '1025'].map((n): [Record<string, string>, string] => [
      { SCHUSS_THREADS: n },
      'schuss: SCHUSS_THREADS: ',
    ]),
  ])('%j is refused', (environment, message) => {
    const { error, message: text } = run(full, environment);
    expect(error).toBe('RangeError');
    expect(text).toContain(message);
  });
});

describe('without an addon', () => {
  test('the JS backend runs after one warning, with the same bits', () => {
    const { name, isa, threads, bits, warnings } = run(bare);
    expect([name, isa, threads]).toEqual(['js', 'scalar', 1]);
    expect(warnings.match(/SchussWarning/g)).toHaveLength(1);
    expect(warnings).toMatch(
      /SCHUSS_NO_NATIVE.*no native addon for \w+-\w+ \(no prebuilds\/.+\.node\): .*`npx schuss build`/,
    );
    expect(bits).toEqual(run(full).bits);
  });

  test('the warning in a clone names the build command of a clone', () => {
    const file = join(bare, 'binding.gyp');
    writeFileSync(file, '{}');
    expect(run(bare).warnings).toMatch(/no native addon .*`npm run build`/);
    rmSync(file);
  });

  test('SCHUSS_BACKEND=js gives no warning, and asking for native or for an instruction set throws', () => {
    expect(run(bare, { SCHUSS_BACKEND: 'js' })).toMatchObject({ name: 'js', warnings: '' });
    expect(run(bare, { SCHUSS_BACKEND: 'native' })).toMatchObject({
      error: 'Error',
      message: expect.stringMatching(/^schuss: SCHUSS_BACKEND=native: there is no native addon/),
    });
    expect(run(bare, { SCHUSS_ISA: 'avx2' })).toMatchObject({
      error: 'Error',
      message: expect.stringMatching(/^schuss: SCHUSS_ISA=avx2: there is no native addon/),
    });
  });
});

describe('the file of the addon', () => {
  const { file } = findAddon();
  const preload = (name: string, code: string): Record<string, string> => {
    const path = join(folder, `${name}.cjs`);
    writeFileSync(path, code);
    return { NODE_OPTIONS: `--require=${JSON.stringify(path)}` };
  };
  const warned = (place: string, environment: Record<string, string>, reason: RegExp): void => {
    const { name, warnings, error } = run(place, environment);
    expect([name, error]).toEqual(['js', undefined]);
    expect(warnings.match(/SchussWarning/g)).toHaveLength(1);
    expect(warnings).toMatch(reason);
  };
  const damaged = join(folder, 'damaged');
  beforeAll(() => {
    cpSync(bare, damaged, { recursive: true, verbatimSymlinks: true });
    mkdirSync(dirname(join(damaged, file)), { recursive: true });
  });

  test.each([
    ['empty', ''],
    ['text', 'not an addon'],
  ])('%s: the JS backend runs after one warning with the reason', (_, contents) => {
    writeFileSync(join(damaged, file), contents);
    warned(damaged, {}, /no native addon for \w+-\w+ \(.+\.node does not load: .+\): .*`npx schuss build` compiles it/);
  });

  test('the addon of somebody else', () => {
    const css = readdirSync(join(root, 'node_modules')).filter((name) => /^lightningcss-(?!.*musl)/.test(name))[0]!;
    cpSync(join(root, 'node_modules', css, `${css.replace('-', '.')}.node`), join(damaged, file));
    warned(damaged, {}, /\(.+\.node is not the addon of schuss\): .* A bundler, alias or mock has replaced the file/);
  });

  test.each([
    ['an empty object', '{}'],
    ['null', 'null'],
    ['a mock', '{ isas: [], engine() {} }'],
  ])('%s in its place, as a bundler or a test runner puts it there', (_, exported) => {
    const code = `require('node:module')._extensions['.node'] = (module) => { module.exports = ${exported}; };`;
    warned(full, preload('empty', code), /is not the addon of schuss/);
  });

  test('a whole addon in the place of its path is not printed', () => {
    const code = `require('node:module')._extensions['.node'] = (module) => { module.exports = 'data:' + 'x'.repeat(1e6); };`;
    warned(full, preload('data', code), /^(?![\s\S]{1500})/);
  });

  test('in a bundle, the remedy is to copy the file', () => {
    const outfile = join(folder, 'bundle.cjs');
    const entryPoints = [join(root, 'lib/index.ts')];
    buildSync({ entryPoints, bundle: true, platform: 'node', external: ['*.node'], outfile, logLevel: 'error' });
    const script = ['-e', 'require(process.argv[1]).backend()', outfile];
    const { stderr } = spawnSync(process.execPath, script, { encoding: 'utf8' });
    expect(stderr).toMatch(/SCHUSS_NO_NATIVE.* In a bundle, copy the .node file as the installation guide says/);
  });

  test.each(['', 'node', undefined])('loads where process.execPath is %j, as without /proc', (path) => {
    const code = `Object.defineProperty(process, 'execPath', { value: ${JSON.stringify(path)} });`;
    expect(run(full, preload('path', code))).toMatchObject({ name: 'native', warnings: '' });
  });

  test('the remedy fits the reason', () => {
    warned(full, { NODE_OPTIONS: '--no-addons' }, /loading addons is disabled.*\): .* Start Node without --no-addons;/);
    const told = (message: string, code?: string) => remedyFor(new Error(message, { cause: { code } }));
    for (const message of [
      'x.node does not load: /a/x.node: failed to map segment from shared object',
      'x.node does not load: Error relocating /a/x.node: Operation not permitted',
    ])
      expect(told(message)).toMatch(/^Nothing can be executed from this file system, which is mounted with noexec/);
    expect(told('x.node does not load: /a/x.node: cannot open shared object file: Permission denied')).toMatch(
      /^This user may not read the file/,
    );
    expect(told('Requires ffi access to "x.node", run again with the --allow-ffi flag')).toBe(
      'Start Deno with --allow-ffi',
    );
    expect(told('x', 'ERR_DLOPEN_DISABLED')).toMatch(/--allow-addons/);
    expect(told("x.node does not load: version `GLIBC_2.34' not found", 'ERR_DLOPEN_FAILED')).toMatch(
      /`npm run build`/,
    );
  });

  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
  test.runIf(isRoot)('on a file system that is mounted with noexec', ({ skip }) => {
    const mounted = join(folder, 'noexec');
    mkdirSync(mounted);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'noexec', 'tmpfs', mounted]).status !== 0)
      skip('this user may not mount a file system');
    try {
      cpSync(full, join(mounted, 'full'), { recursive: true, verbatimSymlinks: true });
      warned(join(mounted, 'full'), {}, /does not load: .*\): .* Nothing can be executed from this file system/);
    } finally {
      spawnSync('umount', [mounted]);
    }
  });
});
