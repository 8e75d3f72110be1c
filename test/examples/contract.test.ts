// The examples in the docstrings of helpers: every export has one, and every comment in it is a check.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import * as ensembles from '../../lib/ensembles/index.js';
import * as library from '../../lib/index.js';
import * as schedules from '../../lib/schedules/index.js';
import * as training from '../../lib/training/index.js';
import { root } from '../support/root.js';

const plain = (value: unknown): unknown =>
  ArrayBuffer.isView(value) ? [...(value as Float32Array)] : Array.isArray(value) ? value.map(plain) : value;

// `digits`: how many decimals the comments of the module show.
describe.each([
  { name: 'schedules', module: schedules, digits: 14, checksEach: 2 },
  { name: 'training', module: training, digits: 5, checksEach: 1 },
  { name: 'ensembles', module: ensembles, digits: 14, checksEach: 1 },
])('$name', ({ name, module, digits, checksEach }) => {
  const folder = join(root, 'lib', name);
  const source = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  const examples = [...source.matchAll(/@example\n +\* ```ts\n([\s\S]*?) +\* ```/g)].map(([, block = '']) =>
    block.replace(/^ +\* ?/gm, ''),
  );

  test('every export has an example that imports it', () => {
    const imported = examples
      .flatMap((code) => code.match(/^import \{(.*)\} from 'schuss';\n/)?.[1]?.split(',') ?? [])
      .map((name) => name.trim());
    expect(imported, 'names that the examples import').toEqual(expect.arrayContaining(Object.keys(module)));
  });

  test.each(examples)('example %# gives the values in its comments', async (code) => {
    // `f(x); // 0.1` becomes a check, and the import becomes a look-up in the modules under test.
    const checked = code
      .replace(/^import (\{.*\}) from 'schuss';$/m, 'const $1 = schuss;')
      .replace(/^(.+); \/\/ ([\d[{'"-].*|NaN|true|false)$/gm, 'check($1, $2);');
    let checks = 0;
    const check = (actual: unknown, expected: unknown) => {
      checks++;
      if (typeof expected === 'number') expect(actual, code).toBeCloseTo(expected, digits);
      else expect(plain(actual), code).toEqual(expected);
    };
    const body = ts.transpile(`(async () => {${checked}})()`, { target: ts.ScriptTarget.ES2022 });
    await new Function('schuss', 'check', `return ${body}`)({ ...library, ...module }, check);
    expect(checks, `comments with a value in\n${code}`).toBeGreaterThanOrEqual(checksEach);
  });
});
