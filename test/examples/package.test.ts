// Every example of the README, of the guide and of the docstrings compiles and runs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { readmePath, withTable } from '../../scripts/optimizer-table.js';

const root = join(__dirname, '..', '..');
const require = createRequire(__filename);

interface Example {
  readonly name: string;
  readonly code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, 'utf8');
  const isCode = file.endsWith('.ts');
  const blocks = isCode
    ? [...text.matchAll(/@example\n\s*\* ```ts\n([\s\S]*?)\n\s*\* ```/g)].map(([, block]) =>
        (block as string).replace(/^\s*\* ?/gm, ''),
      )
    : [...text.matchAll(/^```ts\n([\s\S]*?)\n```/gm)].map(([, block]) => block as string);
  return blocks.map((code, i) => ({ name: `${relative(root, file)} ${i + 1}`, code }));
}

const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((f) => f.endsWith('.ts') && !f.endsWith('.d.ts'))
  .map((f) => join(root, 'lib', f));
const guide = join(root, 'docs', 'guide');
const pages = readdirSync(guide)
  .filter((f) => f.endsWith('.md'))
  .map((f) => join(guide, f));
const examples = [readmePath, ...pages, ...sources].flatMap(examplesOf);

// Inside the checkout, so that packages resolve; in an ignored folder.
const folder = join(root, 'build', 'examples');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('there are examples in the README and in the docstrings', () => {
  expect(examples.filter(({ name }) => name.startsWith('README')).length).toBeGreaterThanOrEqual(4);
  expect(examples.length).toBeGreaterThan(30);
});

test('the table of optimizers in the README is that of the declarations', () => {
  const readme = readFileSync(readmePath, 'utf8');
  expect(withTable(readme)).toBe(readme);
});

test('the first sh blocks of the README are the two commands', () => {
  const blocks = [...readFileSync(readmePath, 'utf8').matchAll(/^```sh\n([\s\S]*?)\n```/gm)].map(([, block]) => block);
  expect(blocks.slice(0, 2)).toEqual(['npm ci && npm run study', 'npm ci && npm test']);
});

test('all compile', () => {
  mkdirSync(folder, { recursive: true });
  const files = examples.map(({ code }, i) => {
    const file = join(folder, `example-${i}.mts`);
    writeFileSync(file, `${code}\nexport {};\n`);
    return file;
  });
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    paths: { schuss: [join(root, 'lib', 'index.mts')], 'schuss/tfjs': [join(root, 'lib', 'tfjs', 'index.mts')] },
  });
  const problems = files.flatMap((file, i) => {
    const source = program.getSourceFile(file);
    return [...program.getSemanticDiagnostics(source), ...program.getSyntacticDiagnostics(source)].map(
      (d) => `${examples[i]?.name}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`,
    );
  });
  expect(problems.join('\n')).toBe('');
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
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      const run = new Function('require', 'exports', `return (async () => {${outputText}\n})()`) as (
        r: unknown,
        e: object,
      ) => Promise<void>;
      await run((name: string) => own[name] ?? require(name), {});
    } finally {
      log.mockRestore();
    }
  });
});
