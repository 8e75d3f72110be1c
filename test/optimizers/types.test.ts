import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { root } from '../support/root.js';

test('test/optimizers/types.ts compiles, and what is wrong in it is refused', () => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const file = join(__dirname, 'types.ts');
  const program = ts.createProgram([file], { ...options, noEmit: true });
  const source = program.getSourceFile(file);
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  const lines = found.map(
    (d) =>
      `${(d.file as ts.SourceFile).getLineAndCharacterOfPosition(d.start as number).line + 1}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`,
  );
  expect(lines).toEqual([]);
}, 60_000);
