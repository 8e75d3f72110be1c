// The object files of the kernels as the CPU sees them: no instruction that rounds otherwise, or that a CPU lacks.
import { describe, expect, test } from 'vitest';
import { has, lines, objects } from '../support/objects.js';

describe.skipIf(!has('objdump') || process.platform !== 'linux')('instructions', () => {
  const code = new Map(objects.map(({ isa, file }) => [isa, file] as const));
  const disassemble = (isa: string): string[] => lines('objdump', '-dC', '--no-show-raw-insn', code.get(isa) as string);
  const mnemonics = (text: string[]): Set<string> =>
    new Set(text.flatMap((line) => /^ +[0-9a-f]+:\t(\S+)/.exec(line)?.[1] ?? []));

  test.each(objects)('$isa: no fused multiply-add, which rounds once where the formula rounds twice', ({ isa }) => {
    const found = mnemonics(disassemble(isa));
    expect(found.size).toBeGreaterThan(10);
    expect([...found].filter((name) => /^(vfn?m|fn?m(add|sub|la|ls))/.test(name))).toEqual([]);
  });

  describe.skipIf(process.arch !== 'x64')('x64', () => {
    test.each(['scalar', 'sse2'])('%s: nothing that a CPU without AVX lacks', (isa) => {
      const text = disassemble(isa);
      expect([...mnemonics(text)].filter((name) => name.startsWith('v'))).toEqual([]);
      expect(text.filter((line) => /%[yz]mm/.test(line))).toEqual([]);
    });

    test('avx2: nothing that a CPU without AVX-512 lacks', () => {
      expect(disassemble('avx2').filter((line) => /%zmm|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b/.test(line))).toEqual([]);
    });

    test.each([
      ['sse2', 'sqrtps', 'divps', '%xmm'],
      ['avx2', 'vsqrtps', 'vdivps', '%ymm'],
      ['avx512', 'vsqrtps', 'vdivps', '%zmm'],
    ])('%s: Adam takes roots and quotients of whole registers', (isa, root, quotient, register) => {
      const text = disassemble(isa);
      const start = text.findIndex((line) =>
        line.endsWith(`<void ${isa}::run<${isa}::Adam>(Pass const&, float const*, Span const&)>:`),
      );
      expect(start).toBeGreaterThan(0);
      const adam = text.slice(start, text.indexOf('', start)).filter((line) => line.includes(register));
      expect(adam.some((line) => line.includes(root))).toBe(true);
      expect(adam.some((line) => line.includes(quotient))).toBe(true);
    });
  });
});
