// What TypeScript accepts and refuses is what the run time does.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CompileError, compile } from '../support/compile.js';
import { root } from '../support/root.js';

const files = readdirSync(__dirname)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => join(__dirname, file));

/** Calls without the `lr` that SGD and LARS need. */
const withoutRate = [
  'new SGD(w);',
  'new SGD(w, {});',
  'new SGD(w, { momentum: 0.9 });',
  'new SGD({ a: w });',
  'new SGD([{ params: w, lr: 0.1 }, { params: [w] }]);',
  'new LARS([w], { momentum: 0.9 });',
  "createOptimizer('sgd', w);",
  "createOptimizer('LARS', [w]);",
  "createOptimizer('sgd', w, { momentum: 0.9 });",
  'wrap(SGD);',
  'wrap(LARS, { momentum: 0.9 });',
  'ShardedOptimizer.create(SGD, w, {}, world);',
  "minimize(terms, w, { method: 'sgd' });",
];
const head = [
  "import { createOptimizer, LARS, minimize, SGD, type Terms } from '../../lib/index.js';",
  "import { ShardedOptimizer, type World } from '../../lib/distributed/index.js';",
  "import { wrap } from '../../lib/tfjs/index.js';",
  'declare const w: Float32Array<ArrayBuffer>, world: World, terms: Terms;',
];
// An ignored folder inside the checkout, so that imports resolve.
const folder = join(root, 'build', 'types');
const written = 'without-rate.ts';

let errors: readonly CompileError[];
beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, written), [...head, ...withoutRate].join('\n'));
  errors = compile(folder, {}, [...files, written]);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('what must compile does, and each line that expects an error has one', () => {
  expect(errors.filter(({ file }) => file !== written)).toEqual([]);
});

test('where lr is missing, the error says so', () => {
  const found = errors.filter(({ file }) => file === written);
  expect(found.map(({ line }) => withoutRate[line - 1 - head.length])).toEqual(withoutRate);
  for (const { line, text } of found)
    expect(text, withoutRate[line - 1 - head.length]).toMatch(
      /"lr has no default: .+"' is missing|Property 'lr' is missing/,
    );
});
