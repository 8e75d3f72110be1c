// The tarball as users get it: what is in it, and that it loads as CommonJS and as an ES module.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json';
import { read, root } from '../support/root.js';
import { all } from '../support/sample.js';
import { packed } from '../support/tarball.js';

const { installed, files, run } = packed();

describe('content', () => {
  test('it contains the code, the native sources and the documents', () => {
    const needed = [
      'dist/index.js',
      'dist/index.mjs',
      'dist/index.d.ts',
      'dist/index.d.mts',
      'dist/cli/main.js',
      'native/kernel.h',
      'native/mpi/target.gypi',
      'native/mpi/flags.js',
      'dist/addon/binding.gyp',
    ];
    expect(files).toEqual(expect.arrayContaining([...needed, 'README.md', 'LICENSE', 'CHANGELOG.md', 'package.json']));
  });

  // npm would start a build for a root binding.gyp. It blocks install scripts, and warns of `prepare` in a tarball, so a
  // clone builds in `prepublish`, which npm runs in the package itself alone.
  test('nothing runs at install', () => {
    expect(files).not.toContain('binding.gyp');
    expect(manifest.gypfile, 'gypfile in package.json must be false').toBe(false);
    expect(
      Object.keys(manifest.scripts).filter((name) => /^((pre|post)?install|prepare)$/.test(name)),
      'scripts that npm would run at install',
    ).toEqual([]);
  });

  test('the package page has links, and the README none that npmjs.com cannot resolve', () => {
    const { url } = manifest.repository;
    expect(url).toMatch(/^git\+https:\/\/github\.com\/[\w-]+\/schuss\.git$/);
    const home = url.slice('git+'.length, -'.git'.length);
    expect(manifest).toMatchObject({ homepage: `${home}#readme`, bugs: `${home}/issues` });
    expect(manifest).not.toHaveProperty('funding');
    // Links relative to the repository; release.yml makes the addresses of the picture absolute.
    const readme = read('README.md');
    for (const [, target] of readme.matchAll(/(?:\]\(|(?:src|srcset|href)=")([^)"\s]+)/g))
      expect(target).toMatch(/^(https:\/\/|#|[a-zA-Z][\w/.-]*(#|$))/);
    const pictures = [...readme.matchAll(/"(bench\/results\/headline-\w+\.svg)"/g)];
    expect(pictures.length).toBe(2);
    expect(read('.github', 'workflows', 'release.yml')).toContain('bench/results/headline');
  });

  // Yarn installs node-gyp, and 20 packages with it, for a package whose scripts name it.
  test('no script names node-gyp', () => {
    expect(Object.values(manifest.scripts).filter((script) => script.includes('node-gyp'))).toEqual([]);
  });

  test('the ES modules spell out the names that they export', () => {
    for (const file of ['dist/index.mjs', 'dist/tfjs/index.mjs', 'dist/rows/index.mjs', 'dist/distributed/index.mjs'])
      expect(readFileSync(join(installed, file), 'utf8')).toMatch(
        /^export \{\n( {2}\w+,\n)+\} from '\.\/index\.js';\n$/,
      );
  });

  test('it contains nothing but the product', () => {
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
    expect(different, 'names that differ between require and import').toEqual([]);
  });

  // tsc leaves an @internal export out of the types, and in the compiled file.
  test('no entry point has an internal name', () => {
    const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const internal = sources.flatMap((file) =>
      [...read('lib', file).matchAll(/@internal \*\/\s+export (?:abstract )?\w+ (\w+)/g)].map(([, name]) => name),
    );
    expect(internal).toContain('classes');
    const names = run(
      '-e',
      `for (const entry of ${JSON.stringify(entries)}) console.log(Object.keys(require(entry.replace('.', 'schuss'))).join('\\n'))`,
    ).split('\n');
    expect(names).toEqual(expect.arrayContaining(['Adam', 'wrap', 'gather', 'DataParallel']));
    expect(names.filter((name) => [...internal, 'useStandardNames'].includes(name))).toEqual([]);
  });

  test('require loads a file when one of its names is first used', () => {
    const code = `
      const schuss = require('schuss');
      const loaded = () => Object.keys(require.cache).filter((file) => /dist|ml-matrix/.test(file));
      const counts = [loaded().length];
      new schuss.Adam(new Float32Array(1), { lr: schuss.cosine(1, { steps: 9 }) });
      const heavy = /ml-matrix|sfo|checkpoint|ensembles|second-order|lion/;
      console.log(JSON.stringify([...counts, loaded().filter((file) => heavy.test(file))]));`;
    expect(JSON.parse(run('-e', code))).toEqual([1, []]);
  });

  test.runIf(all)('each name loads on its own, and stays the same', () => {
    const code = `
      const names = Object.keys(require('schuss'));
      for (const name of names) {
        for (const file of Object.keys(require.cache)) delete require.cache[file];
        const schuss = require('schuss');
        if (schuss[name] === undefined || schuss[name] !== schuss[name]) console.log(name);
      }
      console.log(names.length);`;
    expect(Number(run('-e', code))).toBeGreaterThan(70);
  });

  test('a step runs without a binary', () => {
    const code = `
      const { Adam, backend } = require('schuss');
      const w = new Float32Array([1, 2, 3]);
      new Adam(w, { lr: 0.5 }).step(new Float32Array([1, -1, 0]));
      console.log(backend().name, backend().version, ...w);`;
    expect(run('-e', code)).toBe(`js ${manifest.version} 0.5 2.5 3\n`);
  });

  test('the command runs', () => {
    expect(run(join(installed, 'dist', 'cli', 'main.js'), '--version').trim()).toBe(manifest.version);
  });
});

test('publint finds nothing', async () => {
  const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
  expect(messages, 'messages of publint').toEqual([]);
});
