// Every example of the README, of the guide and of the docstrings compiles.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { compile } from '../support/compile.js';
import { examples } from '../support/examples.js';
import { root } from '../support/root.js';

// An ignored folder inside the checkout, so that packages resolve.
const folder = join(root, 'build', 'examples');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every example compiles', () => {
  mkdirSync(folder, { recursive: true });
  examples.forEach(({ code }, i) => {
    writeFileSync(join(folder, `example-${i}.mts`), `${code}\nexport {};\n`);
  });
  const entry = (...path: string[]): string[] => [join(root, 'lib', ...path, 'index.mts')];
  // A new project has none of these options of this repository.
  const options = {
    exactOptionalPropertyTypes: false,
    noUncheckedIndexedAccess: false,
    noImplicitReturns: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: {
      schuss: entry(),
      'schuss/rows': entry('rows'),
      'schuss/distributed': entry('distributed'),
      'schuss/tfjs': entry('tfjs'),
    },
  };
  const nameOf = (file: string): string | undefined => examples[Number(/^example-(\d+)\./.exec(file)?.[1])]?.name;
  const problems = compile(folder, options, ['*.mts']).map(({ file, text }) => `${nameOf(file) ?? file}: ${text}`);
  expect(problems.join('\n')).toBe('');
});
