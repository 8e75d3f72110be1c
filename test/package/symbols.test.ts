// What the linker and the CPU see of the kernels: an object of one instruction set must give nothing to the others.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const build = join(__dirname, '..', '..', 'build', 'Release');
const objects = readdirSync(build, { recursive: true, encoding: 'utf8' })
  .filter((file) => /[/\\]isa[/\\]\w+\.o$/.test(file))
  .map((file) => ({ isa: basename(file, '.o'), file: join(build, file) }));

function lines(command: string, ...args: string[]): string[] {
  const { stdout, status } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  expect(status, `${command} ${args.join(' ')}`).toBe(0);
  return stdout.split('\n');
}

const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0;

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
