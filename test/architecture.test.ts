// The layout of the repository: which folder may import which, and which files must exist together.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import manifest from '../package.json';
import { allClasses } from './support/classes.js';
import { root } from './support/root.js';

/** The floors of lib/, from the top down. A file imports from its own floor and from the floors below it. */
const floors = [
  'cli',
  'tfjs',
  'distributed',
  'rows',
  'index',
  'checkpoint',
  'training',
  'second-order',
  'ensembles',
  'schedules',
  'optimizers',
  'core',
  'engine',
  'check',
];

const files = (folder: string, pattern: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join(folder, file.split(sep).join('/')))
    .filter((file) => pattern.test(file) && !file.includes('node_modules/'));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const floorOf = (file: string): string => file.split('/')[1]?.replace(/\.m?ts$/, '') as string;

const isSource = /(?<!\.d)\.m?ts$/;
const lib = files('lib', isSource);
const bench = files('bench', isSource);
const known = new Set([...lib, ...bench]);

interface Import {
  readonly from: string;
  /** A file of the repository, or the name of a package. */
  readonly to: string;
}
// Imports of types count: whoever reads the file has to read them too.
const imports: readonly Import[] = [...known].flatMap((from) =>
  ts.preProcessFile(read(from)).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return { from, to: fileName };
    const path = posix.join(posix.dirname(from), fileName);
    return { from, to: [path.replace(/js$/, 'ts'), path].find((file) => known.has(file)) ?? path };
  }),
);
const importsOfLib = imports.filter(({ from }) => from.startsWith('lib/'));
const shown = (list: readonly Import[]): string[] => list.map(({ from, to }) => `${from} imports ${to}`);

/** The circles in a graph of imports, each as a path that ends where it starts. */
function circles(edges: readonly Import[]): string[] {
  const [path, done, found]: [string[], Set<string>, string[]] = [[], new Set(), []];
  const visit = (file: string): void => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    path.push(file);
    for (const { from, to } of edges) if (from === file) visit(to);
    path.pop();
    done.add(file);
  };
  for (const { from } of edges) visit(from);
  return found;
}

describe('lib', () => {
  test('every file stands on a floor', () => {
    const elsewhere = lib.filter((file) => !floors.includes(floorOf(file)));
    expect(elsewhere, 'every file of lib/ must be in a folder that `floors` names').toEqual([]);
  });

  test('imports point down', () => {
    const upward = importsOfLib.filter(
      ({ from, to }) => to.startsWith('lib/') && floors.indexOf(floorOf(to)) < floors.indexOf(floorOf(from)),
    );
    expect(shown(upward), 'a file must not import from a floor above its own').toEqual([]);
  });

  test('schedules need nothing but core and check', () => {
    const others = importsOfLib.filter(
      ({ from, to }) => floorOf(from) === 'schedules' && !/^lib\/(schedules|core|check)\//.test(to),
    );
    expect(shown(others), 'lib/schedules must import from lib/core and lib/check only').toEqual([]);
  });

  test('imports packages only that package.json names as dependencies', () => {
    const foreign = importsOfLib.filter(({ from, to }) => {
      if (to.startsWith('lib/') || to.startsWith('node:')) return false;
      if (to === 'package.json' || to.startsWith('prebuilds/')) return false; // beside dist/ in the published package
      const packages = Object.keys(manifest.dependencies);
      if (floorOf(from) === 'tfjs') packages.push(...Object.keys(manifest.peerDependencies));
      return !packages.includes(to);
    });
    expect(shown(foreign), 'lib/ must import nothing but lib/, node: and dependencies').toEqual([]);
  });

  test('each entry point has a twin for ES modules, which is one line', () => {
    const entries = Object.values(manifest.exports).filter((entry) => typeof entry === 'object');
    expect(entries.length, 'entry points in "exports" of package.json').toBeGreaterThan(0);
    for (const { import: esm, require: cjs } of entries) {
      const source = cjs.default.replace('./dist', 'lib').replace(/js$/, 'ts');
      expect(lib, 'the sources must contain the entry point').toContain(source);
      const code = read(source.replace(/ts$/, 'mts')).replace(/^\/\*\*.*?\*\/\n/s, ''); // without its docstring
      expect(code, `the twin of ${source}`).toBe(`export * from './${posix.basename(cjs.default)}';\n`);
      expect(esm.default, 'the entry point of ES modules').toBe(cjs.default.replace(/js$/, 'mjs'));
      expect(cjs.types, 'the types of CommonJS').toBe(cjs.default.replace(/js$/, 'd.ts'));
      expect(esm.types, 'the types of ES modules').toBe(cjs.default.replace(/js$/, 'd.mts'));
    }
  });
});

describe('native', () => {
  const includes = files('native', /\.(h|cpp)$/).flatMap((from) =>
    [...read(from).matchAll(/^#include (["<].+)[">]/gm)].map(([, to]) => ({ from, to: to as string })),
  );

  test('only binding/ and the addon of mpi/ include headers of JavaScript engines', () => {
    const js = includes.filter(
      ({ from, to }) => !/^native\/(binding\/|mpi\/addon\.cpp$)/.test(from) && /^.(napi|node|uv|v8)/.test(to),
    );
    expect(shown(js), 'headers of Node and V8 belong to native/binding/ and native/mpi/addon.cpp').toEqual([]);
  });

  // The linker rule: an inline function of the STL, compiled with AVX, could become the copy that every CPU runs.
  test('kernels, lanes and instruction sets include C headers and intrinsics only', () => {
    const allowed = /^"|^<(float|math|stddef|stdint|string|immintrin|emmintrin|arm_neon)\.h$/;
    const kernels = includes.filter(({ from }) => /^native\/(kernel\.h|(kernels|simd|isa)\/)/.test(from));
    expect(kernels.length, 'includes in kernels').toBeGreaterThan(20);
    const others = kernels.filter(({ to }) => !allowed.test(to));
    expect(shown(others), 'kernels must include C headers and intrinsics only').toEqual([]);
  });
});

test('no file imports itself through others', () => {
  expect(circles(imports), 'imports must form no circle; those of types count').toEqual([]);
});

test('a circle of imports is found', () => {
  const edges = ['ab', 'bc', 'cb'].map(([from, to]) => ({ from: from as string, to: to as string }));
  expect(circles(edges), 'circles of a → b ⇄ c').toEqual(['b → c → b']);
});

test('no file of lib/ or native/ is longer than 500 lines', () => {
  const long = [...lib, ...files('native', /\.(h|cpp)$/)]
    .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > 500)
    .map(({ file, lines }) => `${file}: ${lines} lines`);
  expect(long, 'files of more than 500 lines must be split').toEqual([]);
});

describe('an optimizer is two files and two lines', () => {
  const table = read('native/kernels/all.h');
  const rows = [
    ...table.matchAll(
      /entry(?:PerRow|WithNorms|WithNumbers|WithRoots|Factored|OfMatrix|WithFactors|WithMaxima|InFloat32)?<(?:Cautious<)?(\w+)(?:>|, [\d, ]+)+\("(.+)"\)/g,
    ),
  ].map(([, struct, name]) => [name, struct] as [name: string, struct: string]);
  const structs = new Map(rows);

  test('the kernels in C++ are those that the declarations name', () => {
    const declared = allClasses.flatMap(([, { kernels }]) => Object.keys(kernels));
    const missing = declared.filter((name) => !structs.has(name));
    expect(missing, 'declared, but not in native/kernels/all.h').toEqual([]);
    const left = [...structs.keys()].filter((name) => !declared.includes(name));
    expect(left, 'in native/kernels/all.h, but not declared').toEqual([]);
    expect(structs.size, 'each name must stand in all.h once').toBe(rows.length);
  });

  test.each(allClasses.map(([Class, declaration]) => [declaration.name, Class, declaration] as const))(
    '%s has a file of its name on both sides',
    (_, Class, { kernels, methods }) => {
      const file = lib.find((path) => new RegExp(`^export class ${Class.name}\\b`, 'm').test(read(path))) as string;
      expect(file, `the file of class ${Class.name}`).toMatch(/^lib\/(optimizers|tfjs\/formulas)\//);
      const name = posix.basename(file, '.ts').replaceAll('-', '_');
      // A class may update some params by the method of another one, which has its own files. Blocks are rows to a kernel:
      // that of another class.
      const own = Object.keys(kernels).filter(
        (kernel) =>
          (methods === undefined || methods[kernel] === name) &&
          !Object.values(kernels[kernel]?.layout ?? {}).includes('block'),
      );
      for (const kernel of own) {
        const headers = files('native/kernels', /\.h$/).filter((path) =>
          new RegExp(`^struct ${structs.get(kernel)}\\b`, 'm').test(read(path)),
        );
        expect(headers.length, `headers with the struct of kernel "${kernel}"`).toBe(1);
        const header = posix.basename(headers[0] as string, '.h');
        expect([name, `tf_${name}`], `${headers[0]} must be named like ${file}`).toContain(header);
      }
    },
  );

  test('every file is in its table', () => {
    const shared = ['all.h', 'linalg.h', 'loop.h', 'reduce.h'];
    const headers = files('native/kernels', /\.h$/).filter(
      (file) => !shared.includes(posix.basename(file)) && !table.includes(`"${posix.basename(file)}"`),
    );
    expect(headers, 'native/kernels/all.h does not include').toEqual([]);
    const index = read('lib/optimizers/index.ts');
    const classes = lib.filter(
      (file) =>
        /^lib\/optimizers\/(?!index)/.test(file) && !index.includes(`from './${posix.basename(file, '.ts')}.js'`),
    );
    expect(classes, 'lib/optimizers/index.ts does not import').toEqual([]);
  });
});

test('a test file is named by its kind', () => {
  const kinds = /\/(contract|golden|parity|property|fuzz|types|package)(\.slow)?\.test\.ts$/;
  const others = files('test', /\.test\.ts$/).filter(
    (file) => !kinds.test(file) && !/^test\/(architecture\.|package\/|bench\/)/.test(file),
  );
  expect(others, 'a test file must be test/<subject>/<kind>.test.ts').toEqual([]);
});
