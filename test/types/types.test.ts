// What TypeScript accepts and refuses is what the run time does.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, expect, test } from 'vitest';
import { root } from '../support/root.js';

const files = readdirSync(__dirname).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));

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
const written = join(__dirname, 'without-rate.ts');
const head = [
  "import { createOptimizer, LARS, minimize, SGD, type Terms } from '../../lib/index.js';",
  "import { ShardedOptimizer, type World } from '../../lib/distributed/index.js';",
  "import { wrap } from '../../lib/tfjs/index.js';",
  'declare const w: Float32Array<ArrayBuffer>, world: World, terms: Terms;',
];

let program: ts.Program;
beforeAll(() => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, language, ...rest) =>
    name === written.replaceAll('\\', '/')
      ? ts.createSourceFile(name, [...head, ...withoutRate].join('\n'), language)
      : getSourceFile(name, language, ...rest);
  program = ts.createProgram(
    [...files.map((file) => join(__dirname, file)), written],
    { ...options, noEmit: true },
    host,
  );
}, 60_000);

/** The line and the text of each error in a file. */
function errorsIn(file: string): [line: number, text: string][] {
  const source = program.getSourceFile(file);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((d) => {
    const { line } = (d.file as ts.SourceFile).getLineAndCharacterOfPosition(d.start as number);
    return [line + 1, ts.flattenDiagnosticMessageText(d.messageText, ' ')];
  });
}

test('what must compile does, and each line that expects an error has one', () => {
  const found = files.flatMap((file) =>
    errorsIn(join(__dirname, file)).map(([line, text]) => `${file}:${line}: ${text}`),
  );
  expect(found).toEqual([]);
}, 60_000);

test('where lr is missing, the error says so', () => {
  const errors = errorsIn(written);
  expect(errors.map(([line]) => withoutRate[line - 1 - head.length])).toEqual(withoutRate);
  for (const [line, text] of errors)
    expect(text, withoutRate[line - 1 - head.length]).toMatch(
      /"lr has no default: .+"' is missing|Property 'lr' is missing/,
    );
}, 60_000);
