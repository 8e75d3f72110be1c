// Writes the entry points that users load, from those that tsc has compiled.
// - index.js loads a file when one of its names is first used: whoever needs Adam need not wait for SFO.
// - The ES modules spell out their names. esbuild finds none in `export *` from CommonJS when it splits a bundle.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { posix } from 'node:path';

const require = createRequire(new URL('../dist/', import.meta.url));
const list = (names) => `{\n${names.map((name) => `  ${name},\n`).join('')}}`;

/** The file in dist/ that defines what `path` exports as `name`. An index passes on what other files define. */
function fileOf(name, path) {
  const { [name]: value } = require(`./${path}`);
  if (posix.basename(path) !== 'index.js') return path;
  const imported = [...readFileSync(`dist/${path}`, 'utf8').matchAll(/require\("(\..+?)"\)/g)];
  const files = imported.map(([, file]) => posix.join(posix.dirname(path), file));
  const definer = files.find((file) => require(`./${file}`)[name] === value);
  return definer === undefined ? path : fileOf(name, definer);
}

const names = Object.keys(require('./index.js')).sort();
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
for (const entry of ['index', 'tfjs/index', 'rows/index', 'distributed/index']) {
  const exported = Object.keys(require(`./${entry}.js`)).sort();
  writeFileSync(`dist/${entry}.mjs`, `export ${list(exported)} from './index.js';\n`);
}
