// Writes the entry points that users load, from those that tsc has compiled.
// - index.js loads a file when one of its names is first used: whoever needs Adam need not wait for SFO.
// - The ES modules spell out their names. esbuild finds none in `export *` from CommonJS when it splits a bundle.
// - A name that is marked @internal is in no entry point. tsc leaves it out of the types alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';

const require = createRequire(new URL('../dist/', import.meta.url));
const list = (names) => `{\n${names.map((name) => `  ${name},\n`).join('')}}`;

/** The names of an entry point: the values that its types export. */
function namesOf(entry) {
  const program = ts.createProgram([`dist/${entry}.d.ts`], { noLib: true, types: [] });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(`dist/${entry}.d.ts`));
  const isValue = (symbol) =>
    ((symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol).flags & ts.SymbolFlags.Value) !==
    0;
  // `import type` and `export type` pass on the type of a class alone.
  const all = checker
    .getExportsOfModule(module)
    .filter(isValue)
    .map(({ name }) => name);
  const compiled = require(`./${entry}.js`);
  return all.filter((name) => name in compiled).sort();
}

/** The file in dist/ that defines what `path` exports as `name`. An index passes on what other files define. */
function fileOf(name, path) {
  const { [name]: value } = require(`./${path}`);
  if (posix.basename(path) !== 'index.js') return path;
  const imported = [...readFileSync(`dist/${path}`, 'utf8').matchAll(/require\("(\..+?)"\)/g)];
  const files = imported.map(([, file]) => posix.join(posix.dirname(path), file));
  const definer = files.find((file) => require(`./${file}`)[name] === value);
  return definer === undefined ? path : fileOf(name, definer);
}

const names = namesOf('index');
const getters = names.map((name) => `lazy("${name}", () => require("./${fileOf(name, 'index.js')}"));\n`);
writeFileSync(
  'dist/index.js',
  `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
function lazy(name, load) {
  let value;
  Object.defineProperty(exports, name, { enumerable: true, get: () => (value ??= load()[name]) });
}
${getters.join('')}
// Never runs: Node reads the names for ES modules from it.
0 && (module.exports = ${list(names)});
`,
);
for (const entry of ['index', 'tfjs/index', 'rows/index', 'distributed/index'])
  writeFileSync(`dist/${entry}.mjs`, `export ${list(namesOf(entry))} from './index.js';\n`);
