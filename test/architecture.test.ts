// The house as ARCHITECTURE draws it: what may import what, and what must exist together.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import manifest from '../package.json';
import { allClasses } from './support/classes.js';

const root = join(__dirname, '..');
const files = (folder: string, pattern: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => pattern.test(file))
    .map((file) =>
      relative(root, join(root, folder, file))
        .split(sep)
        .join('/'),
    );
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

// Floors from the top down: a file imports from its own floor and from those below.
const floors = [
  'cli',
  'adapters',
  'distributed',
  'index',
  'checkpoint',
  'training',
  'second-order',
  'ensembles',
  'schedules',
  'optimizers',
  'core',
];
const floorOf = (file: string): string => file.split('/')[1]?.replace(/\.m?ts$/, '') as string;

const sources = files('lib', /(?<!\.d)\.m?ts$/);
const imports = sources.flatMap((file) =>
  ts.preProcessFile(read(file)).importedFiles.map(({ fileName }) => ({
    file,
    to: fileName.startsWith('.') ? posix.join(posix.dirname(file), fileName) : fileName,
  })),
);

describe('lib', () => {
  test('every file stands on a floor', () => {
    expect(sources.filter((file) => !floors.includes(floorOf(file)))).toEqual([]);
  });

  test('imports point down', () => {
    const upward = imports.filter(
      ({ file, to }) =>
        to.startsWith('lib/') && floors.indexOf(floorOf(to.replace(/js$/, 'ts'))) < floors.indexOf(floorOf(file)),
    );
    expect(upward).toEqual([]);
  });

  test('schedules know nothing but core', () => {
    const others = imports.filter(
      ({ file, to }) => floorOf(file) === 'schedules' && !/^lib\/(schedules|core)\//.test(to),
    );
    expect(others).toEqual([]);
  });

  test('core, optimizers and schedules run on the packages that are always there', () => {
    const allowed = [...Object.keys(manifest.dependencies), 'node:'];
    const inner = imports.filter(({ file }) => floors.indexOf(floorOf(file)) >= floors.indexOf('index'));
    expect(inner.filter(({ to }) => !to.startsWith('lib/') && !allowed.some((name) => to.startsWith(name)))).toEqual(
      [],
    );
  });

  test('each entry point has its twin for ES modules, which is one line', () => {
    const entries = Object.values(manifest.exports).filter((entry) => typeof entry === 'object');
    expect(entries.length).toBeGreaterThan(0);
    for (const { import: esm, require: cjs } of entries) {
      const source = cjs.default.replace('./dist', 'lib').replace(/js$/, 'ts');
      expect(sources).toContain(source);
      const code = read(source.replace(/ts$/, 'mts')).replace(/^\/\*\*.*?\*\/\n/s, ''); // without the words for the docs
      expect(code).toBe(`export * from './${posix.basename(cjs.default)}';\n`);
      expect(esm.default).toBe(cjs.default.replace(/js$/, 'mjs'));
      expect(cjs.types).toBe(cjs.default.replace(/js$/, 'd.ts'));
      expect(esm.types).toBe(cjs.default.replace(/js$/, 'd.mts'));
    }
  });
});

describe('native', () => {
  const includes = files('native', /\.(h|cpp)$/).flatMap((file) =>
    [...read(file).matchAll(/^#include (["<].+)[">]/gm)].map(([, to]) => ({ file, to: to as string })),
  );

  test('only binding/ knows JavaScript', () => {
    const js = includes.filter(({ file, to }) => !file.startsWith('native/binding/') && /^.(napi|node|uv|v8)/.test(to));
    expect(js).toEqual([]);
  });

  // See the linker rule: an inline function of the STL, compiled with AVX, could be the copy that every CPU runs.
  test('kernels, lanes and instruction sets include C headers and intrinsics only', () => {
    const allowed = /^"|^<(math|stddef|stdint|string|immintrin|emmintrin|arm_neon)\.h$/;
    const kernels = includes.filter(({ file }) => /^native\/(kernel\.h|(kernels|simd|isa)\/)/.test(file));
    expect(kernels.length).toBeGreaterThan(20);
    expect(kernels.filter(({ to }) => !allowed.test(to))).toEqual([]);
  });
});

describe('an optimizer is two files and two lines', () => {
  const table = read('native/kernels/all.h');
  const rows = [...table.matchAll(/entry(?:PerRow|WithNorms|Factored)?<\w+>\("(.+)"\)/g)].map(
    ([, name]) => name as string,
  );

  test('the kernels in C++ are those that the declarations name', () => {
    const declared = allClasses.flatMap(([, { kernels }]) => Object.keys(kernels));
    expect(
      declared.filter((name) => !rows.includes(name)),
      'declared, but not in native/kernels/all.h',
    ).toEqual([]);
    expect(
      rows.filter((name) => !declared.includes(name)),
      'in native/kernels/all.h, but not declared',
    ).toEqual([]);
    expect(new Set(rows).size).toBe(rows.length);
  });

  test('each optimizer has its file on both sides', () => {
    const headers = readdirSync(join(root, 'native/kernels')).filter((file) => file !== 'all.h');
    expect(
      headers.filter((file) => !table.includes(`#include "${file}"`)),
      'files that native/kernels/all.h does not include',
    ).toEqual([]);
    const classes = sources.filter((file) => /^lib\/optimizers\/(?!index)/.test(file));
    const index = read('lib/optimizers/index.ts');
    expect(
      classes.filter((file) => !index.includes(`from './${posix.basename(file, '.ts')}.js'`)),
      'files that lib/optimizers/index.ts does not export',
    ).toEqual([]);
  });
});
