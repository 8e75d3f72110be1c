// The object files of the kernels as the linker sees them: one instruction set must give nothing to the others.
import { describe, expect, test } from 'vitest';
import { has, lines, objects } from '../support/objects.js';

// Linux only: the names of types and instructions are those of GNU's tools.
describe.skipIf(!has('nm') || process.platform !== 'linux')('symbols', () => {
  test('there are objects to look at', () => {
    expect(objects.map(({ isa }) => isa)).toEqual(
      expect.arrayContaining(process.arch === 'x64' ? ['scalar', 'sse2', 'avx2', 'avx512'] : ['scalar']),
    );
  });

  // A function with external linkage outside the namespace could be merged with another set's copy of it.
  test.each(objects)('$isa: external symbols are in its namespace, one of them strong: kernelSet', ({ isa, file }) => {
    const symbols = lines('nm', '-C', '--defined-only', '--extern-only', file)
      .map((line) => /^[0-9a-f]+ (\w) (.*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, type, name]) => ({ type: type as string, name: name as string }));
    expect(symbols.filter(({ name }) => /^(\S+ )?(\w+)::/.exec(name)?.[2] !== isa)).toEqual([]);
    expect(symbols.filter(({ type }) => !'VWu'.includes(type)).map(({ name }) => name)).toEqual([`${isa}::kernelSet`]);
  });

  test.each(objects)('$isa: needs nothing but memory functions and roots of the C library', ({ file }) => {
    const needed = lines('nm', '-C', '--undefined-only', file).map((line) => line.replace(/^\s*U /, '').trim());
    expect(
      needed.filter((name) => name !== '' && !/^_?(mem(cpy|set|move)|sqrtf?|_GLOBAL_OFFSET_TABLE_)$/.test(name)),
    ).toEqual([]);
  });
});
