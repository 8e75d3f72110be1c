// How the modules of bench/ depend on each other and on the library.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import manifest from '../../bench/package.json';

const root = join(__dirname, '..', '..', 'bench');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((file) => file.split(sep).join('/'))
  .filter((file) => /\.(ts|mjs)$/.test(file) && !/node_modules|(^|\/)build\//.test(file));

const importsOf = new Map(
  files.map((file) => [
    file,
    ts
      .preProcessFile(readFileSync(join(root, file), 'utf8'))
      .importedFiles.map(({ fileName }) =>
        fileName.startsWith('.') ? posix.join(posix.dirname(file), fileName).replace(/\.js$/, '.ts') : fileName,
      ),
  ]),
);

test('bench/ is a client of the built package: it imports nothing of lib/, and only what its package.json names', () => {
  const allowed = Object.keys(manifest.dependencies);
  const isAllowed = (to: string): boolean =>
    files.includes(to) ||
    to.startsWith('node:') ||
    ['../dist/index.mjs', '../dist/tfjs/index.mjs', '../dist/distributed/index.mjs', '../dist/rows/index.mjs'].includes(
      to,
    ) ||
    allowed.some((name) => to === name || (name === 'tsx' && to.startsWith('tsx/')));
  const others = [...importsOf].flatMap(([file, all]) => all.filter((to) => !isAllowed(to)).map((to) => [file, to]));
  expect(others).toEqual([]);
});

test('no module imports itself by way of others', () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    for (const to of importsOf.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
