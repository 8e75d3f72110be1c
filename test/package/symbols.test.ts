// The symbols of the kernels' object files: instruction sets must not share code.
import { describe, expect, test } from 'vitest';
import { has, lines, objects } from '../support/objects.js';

// Linux only, because the names of types and instructions are those of the GNU tools. A sanitizer adds symbols of its own.
const isPlain = process.platform === 'linux' && process.env['SCHUSS_SANITIZED'] === undefined;
describe.skipIf(!has('nm') || !isPlain)('symbols', () => {
  test('there is an object file for each instruction set', () => {
    expect(objects.map(({ isa }) => isa)).toEqual(
      expect.arrayContaining(process.arch === 'x64' ? ['scalar', 'sse2', 'avx2', 'avx512'] : ['scalar']),
    );
  });

  // A function with external linkage outside the namespace could be merged with another set's copy of it.
  test.each(objects)(
    '$isa: all external symbols are in its namespace, and only kernelSet is strong',
    ({ isa, file }) => {
      const symbols = lines('nm', '-C', '--defined-only', '--extern-only', file)
        .map((line) => /^[0-9a-f]+ (\w) (.*)$/.exec(line))
        .filter((match) => match !== null)
        .map(([, type, name]) => ({ type: type as string, name: name as string }));
      expect(
        symbols.filter(({ name }) => /^(\S+ )?(\w+)::/.exec(name)?.[2] !== isa),
        'symbols outside the namespace of the instruction set',
      ).toEqual([]);
      expect(symbols.filter(({ type }) => !'VWu'.includes(type)).map(({ name }) => name)).toEqual([
        `${isa}::kernelSet`,
      ]);
    },
  );

  test.each(objects)('$isa: needs only memory functions and square roots of the C library', ({ file }) => {
    const needed = lines('nm', '-C', '--undefined-only', file).map((line) => line.replace(/^\s*U /, '').trim());
    expect(
      needed.filter((name) => name !== '' && !/^_?(mem(cpy|set|move)|sqrtf?|_GLOBAL_OFFSET_TABLE_)$/.test(name)),
    ).toEqual([]);
  });
});
