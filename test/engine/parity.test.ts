// Reductions and vector operations: the same bits from every engine.
import { describe, expect, test } from 'vitest';
import { backend } from '../../lib/index.js';
import { firstDifference, floats, nativeEngines, reference } from '../support/engines.js';
import { random } from '../support/random.js';

const lengths = [0, 1, 15, 16, 17, 31, 1000, 16383, 16384, 16385, 100_003];

test('the addon is loaded, so these tests do not compare the reference with itself', () => {
  expect(backend().name).toBe('native');
  expect(nativeEngines.map(({ isa }) => isa)).toContain('scalar');
  expect(nativeEngines.length).toBeGreaterThan(1);
});

if (!nativeEngines.some(({ isa }) => isa === 'avx512')) test.skip('avx512: this CPU lacks it', () => {});

describe.each(nativeEngines.map((engine) => [engine.isa, engine] as const))('%s', (_isa, engine) => {
  test.each(lengths)('sumSquares of %i', (length) => {
    const x = floats(length, random(length));
    expect(engine.sumSquares(x)).toBe(reference.sumSquares(x));
    const exact = x.reduce((sum, v) => sum + v * v, 0);
    expect(Math.abs(engine.sumSquares(x) - exact)).toBeLessThanOrEqual(1e-12 * exact);
  });

  test('sumSquares never overflows for finite input, and passes on NaN and Inf', () => {
    expect(engine.sumSquares(new Float32Array(1000).fill(3.4028234e38))).toBeLessThan(Number.POSITIVE_INFINITY);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 15, 16, 98]) {
        const x = new Float32Array(99).fill(1);
        x[at] = bad;
        expect(Number.isFinite(engine.sumSquares(x)), 'sumSquares must show NaN and Inf').toBe(false);
      }
    }
  });

  test.each(lengths)('lerp of %i', (length) => {
    const [target, source] = [floats(length, random(1), true), floats(length, random(2), true)];
    const expected = target.slice();
    reference.lerp(expected, source, 0.1);
    engine.lerp(target, source, 0.1);
    expect(firstDifference(target, expected)).toBe(-1);
  });

  test.each(lengths)('compress and expand of %i', (length) => {
    for (const factor of [1, 0.3]) {
      // Ties, NaN with a payload, and what rounds to infinity, too.
      const x = floats(length, random(3), true);
      const bits = new Uint32Array(x.buffer);
      for (const [i, special] of [0x3f808000, 0x3f818000, 0x7f7fffff, 0xff7f8000, 0x7f7f7fff, 0x7f800001].entries())
        for (let at = i + 5; at < length; at += 97) bits[at] = special;
      const residual = floats(length, random(4));
      const given = [engine, reference].map(({ bfloat16 }) => {
        const [rounded, rest, back] = [new Uint16Array(length), new Float32Array(length), new Float32Array(length)];
        bfloat16.compress(x, residual, factor, rounded, rest);
        bfloat16.expand(rounded, back);
        return [rounded, rest, back].map(({ buffer }) => Buffer.from(buffer).toString('hex'));
      });
      expect(given[0]).toEqual(given[1]);
    }
  });

  test('allocate is zeroed and aligned to 64 bytes', () => {
    for (const length of [0, 1, 1000, 1_000_000]) {
      const x = engine.allocate(length);
      expect(x.length).toBe(length);
      expect(engine.address(x) % 64).toBe(0);
      expect(
        x.every((v) => v === 0),
        'all elements must be 0',
      ).toBe(true);
    }
  });
});
