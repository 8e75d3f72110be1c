// Spells out the names that each ES module of an entry point exports. tsc writes `export *` from a CommonJS file, in which
// esbuild finds no names when it splits a bundle.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
for (const entry of ['index', 'tfjs/index']) {
  const names = Object.keys(require(`../dist/${entry}.js`)).sort();
  writeFileSync(`dist/${entry}.mjs`, `export {\n${names.map((name) => `  ${name},\n`).join('')}} from './index.js';\n`);
}
