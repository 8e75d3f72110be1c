// Every example of the README, of the guide and of the docstrings runs.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import ts from 'typescript';
import { describe, expect, test, vi } from 'vitest';
import { unpatch } from '../../lib/tfjs/index.js';
import { optimizerTable, readmePath, withTable } from '../../scripts/optimizer-table.js';
import { examples } from '../support/examples.js';
import { freshBackend } from '../support/tfjs.js';

const require = createRequire(__filename);

test('the README and the docstrings contain examples', () => {
  expect(examples.filter(({ name }) => name.startsWith('README')).length).toBeGreaterThanOrEqual(4);
  expect(examples.length).toBeGreaterThan(30);
});

test('the table of optimizers in the README matches the declarations', () => {
  const readme = readFileSync(readmePath, 'utf8');
  const missing = optimizerTable()
    .split('\n')
    .filter((row) => !readme.includes(row));
  expect(
    missing.map((row) => /`(\w+)`/.exec(row)?.[1]),
    'rows that npm run docs:readme writes',
  ).toEqual([]);
  expect(withTable(readme)).toBe(readme);
});

test('the README starts with the two commands', () => {
  const blocks = [...readFileSync(readmePath, 'utf8').matchAll(/^```sh\n([\s\S]*?)\n```/gm)].map(([, block]) => block);
  expect(blocks.slice(0, 2)).toEqual(['npm ci && npm run study', 'npm ci && npm test']);
});

describe('run', () => {
  test.each(examples)('$name', async ({ code }) => {
    const own: Record<string, unknown> = {};
    if (/from 'schuss'/.test(code)) own['schuss'] = await import('../../lib/index.js');
    if (/from 'schuss\/tfjs'/.test(code)) own['schuss/tfjs'] = await import('../../lib/tfjs/index.js');
    // The body of an async function has no imports: they become requires.
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    });
    if (/@tensorflow/.test(code)) await freshBackend('cpu');
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      const run = new Function('require', 'exports', `return (async () => {${outputText}\n})()`) as (
        r: unknown,
        e: object,
      ) => Promise<void>;
      await run((name: string) => own[name] ?? require(name), {});
    } finally {
      log.mockRestore();
      unpatch(tf);
    }
  });
});
