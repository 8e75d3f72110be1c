// The tarball as its users get it: what is in it, that it loads both ways, that types resolve both ways.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import manifest from '../../package.json';

const root = join(__dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'schuss-pack-'));
const app = join(folder, 'app');
const installed = join(app, 'node_modules', 'schuss');
let tarball: string;
let files: string[];

// Extracted beside links to its dependencies, as an install would lay it out, without a network.
beforeAll(() => {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const output = execFileSync('npm', pack, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' });
  const [packed] = Object.values(JSON.parse(output)) as { filename: string; files: { path: string }[] }[];
  tarball = join(folder, packed!.filename);
  files = packed!.files.map(({ path }) => path);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@tensorflow/tfjs-core', '@types/node']) {
    const link = join(app, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'junction');
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program in the app on the JavaScript reference: the tarball of a clone holds no binary. */
function run(...args: string[]): string {
  const env = { ...process.env, SCHUSS_BACKEND: 'js', SCHUSS_ISA: '' };
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: app, env, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
  expect(stderr).toBe('');
  return stdout;
}

describe('content', () => {
  test('code, native sources, and the papers', () => {
    const needed = [
      'dist/index.js',
      'dist/index.mjs',
      'dist/index.d.ts',
      'dist/index.d.mts',
      'dist/cli/main.js',
      'native/kernel.h',
      'dist/addon/binding.gyp',
    ];
    expect(files).toEqual(expect.arrayContaining([...needed, 'README.md', 'LICENSE', 'CHANGELOG.md', 'package.json']));
  });

  // npm would start a build of its own, and npm 12 blocks it.
  test('nothing that runs at install', () => {
    expect(files).not.toContain('binding.gyp');
    expect(manifest.gypfile).toBe(false);
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });

  test('nothing but the product', () => {
    expect(
      files.filter((file) => /^(native\/)?(test|bench|scripts|build)\/|(^|\/)node_modules\/|\.tsbuildinfo$/.test(file)),
    ).toEqual([]);
    expect(files.filter((file) => /^dist\/(?!addon\/)/.test(file) && !/\.(js|mjs|d\.ts|d\.mts)$/.test(file))).toEqual(
      [],
    );
  });
});

describe('loading', () => {
  const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'));

  test.each(entries)('%s: require and import give the same names and the same objects', (entry) => {
    const name = entry.replace('.', 'schuss');
    const code = `
      import { createRequire } from 'node:module';
      import * as esm from '${name}';
      const cjs = createRequire(import.meta.url)('${name}');
      const own = (m) => Object.keys(m).filter((k) => !['default', '__esModule', 'module.exports'].includes(k)).sort();
      const different = own(cjs).filter((k) => cjs[k] !== esm[k]);
      console.log(JSON.stringify([own(cjs), own(esm), different]));`;
    const [cjs, esm, different] = JSON.parse(run('--input-type=module', '-e', code));
    expect(cjs.length).toBeGreaterThan(0);
    expect(esm).toEqual(cjs);
    expect(different).toEqual([]);
  });

  test('a step runs without a binary', () => {
    const code = `
      const { Adam, backend } = require('schuss');
      const w = new Float32Array([1, 2, 3]);
      new Adam(w, { lr: 0.5 }).step(new Float32Array([1, -1, 0]));
      console.log(backend().name, backend().version, ...w);`;
    expect(run('-e', code)).toBe(`js ${manifest.version} 0.5 2.5 3\n`);
  });

  test('the command answers', () => {
    expect(run(join(installed, 'dist', 'cli', 'main.js'), '--version').trim()).toBe(manifest.version);
  });
});

describe('types', () => {
  function check(code: string, ...options: string[]): string {
    writeFileSync(join(app, 'esm.mts'), code);
    writeFileSync(join(app, 'cjs.cts'), code);
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const strict = '--noEmit --strict --target es2022 --module nodenext --lib es2023,esnext.disposable --types node';
    return run(tsc, ...strict.split(' '), ...options, 'esm.mts', 'cjs.cts');
  }

  test('resolve in ES modules and in CommonJS, also where libraries are checked', () => {
    const code = `
      import { Adam, allocate, backend, cosine, type Schedule } from 'schuss';
      const lr: Schedule = cosine(1e-3, { steps: 10 });
      const w: Float32Array = allocate(3);
      const { applied, gradNorm } = new Adam({ w }, { lr, betas: [0.9, 0.99] }).step({ w: new Float32Array(3) });
      export const result: [boolean, number | undefined, 'native' | 'js'] = [applied, gradNorm, backend().name];
      // @ts-expect-error: there is no such option
      new Adam(w, { learningRate: 1 });`;
    expect(check(code)).toBe('');
  });

  // Whose own types don't pass a check without the DOM's.
  test("those for TensorFlow.js, beside TensorFlow.js's", () => {
    const code = `
      import type { Optimizer } from '@tensorflow/tfjs-core';
      import { Adam } from 'schuss';
      import { adam, momentum, wrap } from 'schuss/tfjs';
      export const optimizer: Optimizer = wrap(Adam, { lr: 0.1, amsgrad: true });
      // @ts-expect-error: there is no such option
      wrap(Adam, { learningRate: 1 });
      export const lr: number = adam(0.1).optimizer.lr;
      // @ts-expect-error: nothing has become any
      export const wrong: string = adam(0.1).optimizer.stepCount;
      // @ts-expect-error: nor here
      momentum(0.1, 0.9).optimizer.nonsense;`;
    expect(check(code, '--skipLibCheck')).toBe('');
  });

  test('arethetypeswrong finds nothing', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    // node10: TypeScript's resolution from before "exports", which Node 20 has long had.
    const problems = result.types ? result.problems : ['no types'];
    expect(
      problems.filter((p) => !(typeof p === 'object' && 'resolutionKind' in p && p.resolutionKind === 'node10')),
    ).toEqual([]);
  });

  test('publint finds nothing', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages).toEqual([]);
  });
});
