// The instructions of the kernels: none rounds differently, and none is missing on a supported CPU.
import { describe, expect, test } from 'vitest';
import { has, lines, objects } from '../support/objects.js';

describe.skipIf(!has('objdump') || process.platform !== 'linux')('instructions', () => {
  const code = new Map(objects.map(({ isa, file }) => [isa, file] as const));
  const disassemble = (isa: string): string[] => lines('objdump', '-dC', '--no-show-raw-insn', code.get(isa) as string);
  const mnemonics = (text: string[]): Set<string> =>
    new Set(text.flatMap((line) => /^ +[0-9a-f]+:\t(\S+)/.exec(line)?.[1] ?? []));

  /** The fused multiply-adds of each function. */
  const fused = (text: string[]): Map<string, Set<string>> => {
    const found = new Map<string, Set<string>>();
    let name = '';
    for (const line of text) {
      name = /<(.*)>:$/.exec(line)?.[1] ?? name;
      const mnemonic = /^ +[0-9a-f]+:\t(vfn?m\S*|fn?m(?:add|sub|la|ls)\S*)/.exec(line)?.[1];
      if (mnemonic !== undefined) found.set(name, (found.get(name) ?? new Set()).add(mnemonic));
    }
    return found;
  };

  // It rounds once where a formula rounds twice. Only roots may have it, which kernels/root.h rounds correctly.
  test.each(objects)('$isa: has no fused multiply-add outside of roots', ({ isa }) => {
    const text = disassemble(isa);
    expect(mnemonics(text).size).toBeGreaterThan(10);
    const functions = [...fused(text).keys()];
    expect(functions.filter((name) => !name.includes('runWithFma<'))).toEqual([]);
    if (isa === 'avx2' || isa === 'avx512') expect(functions.length).toBeGreaterThan(0);
    else expect(functions).toEqual([]);
  });

  // The roots by FMA, and nothing of the formula around them: as many as refinedRoot has, for each root in the code.
  test.skipIf(process.arch !== 'x64')('the functions with roots by FMA have only those of a root', () => {
    const counts = (isa: string, root: string): number[] => {
      const text = disassemble(isa);
      const functions = text.flatMap((line, i) =>
        /<void .*runWithFma<.*>:$/.test(line) ? [text.slice(i, text.indexOf('', i))] : [],
      );
      return functions.map((lines) => {
        const roots = lines.filter((line) => line.includes(`\t${root} `)).length;
        const found = lines.filter((line) => /\tvfn?m/.test(line)).length;
        return found / roots;
      });
    };
    for (const ratio of counts('avx2', 'vrsqrtps')) expect(ratio).toBe(6);
    for (const ratio of counts('avx512', 'vrsqrt14ps')) expect(ratio).toBe(5);
  });

  describe.skipIf(process.arch !== 'x64')('x64', () => {
    test.each(['scalar', 'sse2'])('%s: has no instruction that a CPU without AVX lacks', (isa) => {
      const text = disassemble(isa);
      expect(
        [...mnemonics(text)].filter((name) => name.startsWith('v')),
        'AVX instructions',
      ).toEqual([]);
      expect(
        text.filter((line) => /%[yz]mm/.test(line)),
        'uses of AVX registers',
      ).toEqual([]);
    });

    test('avx2: has no instruction that a CPU without AVX-512 lacks', () => {
      expect(
        disassemble('avx2').filter((line) => /%zmm|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b/.test(line)),
        'uses of AVX-512 registers',
      ).toEqual([]);
    });

    test.each([
      ['sse2', 'sqrtps', 'divps', '%xmm'],
      ['avx2', 'vsqrtps', 'vdivps', '%ymm'],
      ['avx512', 'vsqrtps', 'vdivps', '%zmm'],
    ])('%s: Adam divides and takes roots of whole registers', (isa, root, quotient, register) => {
      const text = disassemble(isa);
      const start = text.findIndex((line) =>
        line.endsWith(`<void ${isa}::run<${isa}::Adam>(Pass const&, float const*, Span const&)>:`),
      );
      expect(start).toBeGreaterThan(0);
      const adam = text.slice(start, text.indexOf('', start)).filter((line) => line.includes(register));
      expect(
        adam.some((line) => line.includes(root)),
        'the code of Adam must contain a packed root',
      ).toBe(true);
      expect(
        adam.some((line) => line.includes(quotient)),
        'the code of Adam must contain a packed division',
      ).toBe(true);
    });
  });
});
