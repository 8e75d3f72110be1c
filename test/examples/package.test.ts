// Every example of the README, of the guide and of the docstrings runs.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import ts from 'typescript';
import { describe, expect, test, vi } from 'vitest';
import { unpatch } from '../../lib/tfjs/index.js';
import { optimizerTable, readmePath, withTable } from '../../scripts/optimizer-table.js';
import { examples } from '../support/examples.js';
import { sample } from '../support/sample.js';
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

/** Runs a module's code. Returns what it logged, a line for each call. */
async function run(code: string): Promise<string[]> {
  const own: Record<string, unknown> = {};
  if (/from 'schuss'/.test(code)) own['schuss'] = await import('../../lib/index.js');
  if (/from 'schuss\/tfjs'/.test(code)) own['schuss/tfjs'] = await import('../../lib/tfjs/index.js');
  if (/from 'schuss\/rows'/.test(code)) own['schuss/rows'] = await import('../../lib/rows/index.js');
  if (/from 'schuss\/distributed'/.test(code))
    own['schuss/distributed'] = await import('../../lib/distributed/index.js');
  // The body of an async function has no imports: they become requires.
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  if (/@tensorflow/.test(code)) await freshBackend('cpu');
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((...args) => {
    lines.push(args.join(' '));
  });
  try {
    const body = new Function('require', 'exports', `return (async () => {${outputText}\n})()`) as (
      r: unknown,
      e: object,
    ) => Promise<void>;
    await body((name: string) => own[name] ?? require(name), {});
  } finally {
    log.mockRestore();
    unpatch(tf);
  }
  return lines;
}

describe('run', () => {
  test.each(sample(examples, 40))('$name', async ({ code }) => {
    await run(code);
  });
});

test('the training loop of the README fits 40 lines, learns digits, saves, and resumes', async () => {
  const [, code = ''] = /^```js\n([\s\S]*?)\n```/m.exec(readFileSync(readmePath, 'utf8')) ?? [];
  expect(code.split('\n').length).toBeLessThanOrEqual(40);
  const [before, folder] = [process.cwd(), mkdtempSync(join(tmpdir(), 'schuss-digits-'))];
  process.chdir(folder);
  try {
    const first = await run(code);
    expect(Number(/^\d+/.exec(first[0] ?? '')?.[0]), first.join()).toBeGreaterThan(900);
    expect(existsSync('digits.safetensors')).toBe(true);
    // The second run starts with other random weights, and has no step left to take.
    expect(await run(code)).toEqual(['resumed', ...first]);
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  }
});
