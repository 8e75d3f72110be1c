// The recipe's parts that need no build: how it is read, and what a new optimizer owes.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blocksOf, insert } from './recipe.js';

const root = join(__dirname, '..', '..');

test('every optimizer has golden values', () => {
  const folder = join(root, 'lib', 'optimizers');
  const declared = readdirSync(folder).filter((file) =>
    readFileSync(join(folder, file), 'utf8').includes('satisfies Declaration'),
  );
  expect(declared.length).toBeGreaterThan(15);
  const golden = readdirSync(join(root, 'test', 'optimizers'), { recursive: true, encoding: 'utf8' });
  for (const name of declared.map((file) => basename(file, '.ts')))
    expect(golden, `test/optimizers/${name}/golden.test.ts is missing`).toContain(join(name, 'golden.test.ts'));
});

describe('the recipe', () => {
  test('a block belongs to the file that the paragraph above it names first', () => {
    const markdown = [
      '## Before',
      '`lib/no.ts`:',
      '```ts',
      'no();',
      '```',
      '## Add',
      '1. Write `lib/a.ts`, much as `lib/b.ts`.',
      '   Twice.',
      '',
      '   ```ts',
      '   a {',
      '     b;',
      '   ```',
      '',
      'Nothing is named here.',
      '',
      '```sh',
      'npm test',
      '```',
      '2. To `native/c.h`:',
      '````cpp',
      'c',
      '```',
      '````',
    ];
    expect(blocksOf(markdown.join('\n'), 'Add')).toEqual([
      { file: 'lib/a.ts', code: 'a {\n  b;\n' },
      { file: 'native/c.h', code: 'c\n```\n' },
    ]);
    expect(() => blocksOf(markdown.join('\n'), 'Subtract')).toThrow('no section "Subtract"');
  });

  test('a line goes below the last one of its shape', () => {
    const table = '#include <a.h>\n#include "a.h"\n\n    entry<A>("a"),\n    entry<B>("b-b"),\n};\n';
    expect(insert(table, '#include "c.h"', 'all.h')).toBe(table.replace('"a.h"', '"a.h"\n#include "c.h"'));
    expect(insert(table, 'entry<C>("c"),', 'all.h')).toBe(table.replace('};', '    entry<C>("c"),\n};'));
    expect(() => insert(table, 'entry<C>(c),', 'all.h')).toThrow('all.h has no line like "entry<C>(c),"');
  });
});
