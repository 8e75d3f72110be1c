// Every example of the README, of the guide and of the docstrings compiles.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, expect, test } from 'vitest';
import { examples } from '../support/examples.js';
import { root } from '../support/root.js';

// An ignored folder inside the checkout, so that packages resolve.
const folder = join(root, 'build', 'examples');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every example compiles', () => {
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
    paths: {
      schuss: [join(root, 'lib', 'index.mts')],
      'schuss/rows': [join(root, 'lib', 'rows', 'index.mts')],
      'schuss/distributed': [join(root, 'lib', 'distributed', 'index.mts')],
      'schuss/tfjs': [join(root, 'lib', 'tfjs', 'index.mts')],
    },
  });
  const problems = files.flatMap((file, i) => {
    const source = program.getSourceFile(file);
    return [...program.getSemanticDiagnostics(source), ...program.getSyntacticDiagnostics(source)].map(
      (d) => `${examples[i]?.name}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`,
    );
  });
  expect(problems.join('\n')).toBe('');
});
