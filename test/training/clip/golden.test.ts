// clipGradNorm and clipGradValue against float64: the norm by a compensated sum, none of the library's helpers.
import { describe, expect, test } from 'vitest';
import { clipGradNorm, clipGradValue } from '../../../lib/training/index.js';
import { random } from '../../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('clipGradNorm', () => {
  /** In units of the largest element and with Neumaier's sum: its error is a few ulp whatever the length. */
  function norm(values: readonly number[], p: number): number {
    const largest = Math.max(...values.map(Math.abs), 0);
    if (p === inf || largest === 0) return largest;
    let sum = 0;
    let lost = 0;
    for (const value of values) {
      const term = (Math.abs(value) / largest) ** p;
      const next = sum + term;
      lost += sum >= term ? sum - next + term : term - next + sum;
      sum = next;
    }
    return largest * (sum + lost) ** (1 / p);
  }

  // The sum of n float64 terms errs by at most n·2⁻⁵³, 1e-11 at the lengths here, and the root by a part of it.
  const closeNorm = (actual: number, expected: number) =>
    expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-11 * expected);

  const orders = [2, 1, 0.5, 3, 10, 100, inf];
  const scales = { ordinary: 1, tiny: 1e-37, huge: 3e38 };

  test.each(orders)('p = %d: the norm, and each gradient times its factor', (p) => {
    const next = random(1);
    for (const scale of Object.values(scales)) {
      for (const lengths of [[1], [5, 0, 17], scale === 1 ? [16384, 16385, 3] : [100, 200]]) {
        const grads = lengths.map((n) => Float32Array.from({ length: n }, () => scale * (2 * next() - 1)));
        const before = grads.map((g) => [...g]);
        const expected = norm(before.flat(), p);
        const max = expected / 3;
        closeNorm(clipGradNorm(grads, max, { p }), expected);
        const factor = Math.min(1, max / (expected + 1e-6));
        for (const [i, grad] of grads.entries()) {
          for (const [j, g] of grad.entries()) {
            const truth = (before[i]?.[j] as number) * factor;
            // Two roundings to float32, of the factor and of the product; each also by half a subnormal step.
            const bound = 2 ** -23 * Math.abs(truth) + 2 ** -149 * (1 + Math.abs(before[i]?.[j] as number));
            if (!(Math.abs(g - truth) <= bound)) expect(g, `${i}, ${j} of ${lengths}, ${scale}`).toBe(truth);
          }
        }
      }
    }
  });

  test.each([
    [2, 5],
    [1, 7],
    [inf, 4],
    [3, Math.cbrt(91)],
    [0.5, (Math.sqrt(3) + 2) ** 2],
  ])('p = %d of 3 and −4 is %d', (p, expected) => {
    closeNorm(clipGradNorm([new Float32Array([3, 0]), null, new Float32Array([-4])], 100, { p }), expected);
  });

  test('sums of whole numbers are exact at p = 1', () => {
    expect(clipGradNorm(new Float32Array([1, 2, 3]), 100, { p: 1 })).toBe(6);
    expect(clipGradNorm(new Float32Array([7, -5, 100]), 1e9, { p: 1 })).toBe(112);
  });

  test.each(orders)('p = %d: zeros have norm 0 and stay', (p) => {
    const grad = new Float32Array([0, -0]);
    expect(clipGradNorm(grad, 1, { p })).toBe(0);
    expect([...grad]).toEqual([0, -0]);
  });

  test('powers that would overflow or vanish do not', () => {
    closeNorm(clipGradNorm(new Float32Array([3e38, -3e38]), 1, { p: 10 }), Math.fround(3e38) * 2 ** 0.1);
    closeNorm(clipGradNorm(new Float32Array([1e-40, -1e-40]), 1, { p: 10 }), Math.fround(1e-40) * 2 ** 0.1);
    closeNorm(clipGradNorm(new Float32Array([3e38, -3e38]), 1), Math.fround(3e38) * Math.SQRT2);
  });

  test.each([
    [[3, 4], 2, [1.2, 1.6]],
    [[3, 4], 10, [3, 4]],
    [[-3, 4], 5, [-3, 4]], // 5/(5 + 1e-6) is below 1 by less than the tolerance here
    [[0, 0], 2, [0, 0]],
    [[], 2, []],
  ])('%j to %d is %j', (grad, max, expected) => {
    const array = Float32Array.from(grad);
    clipGradNorm(array, max);
    expect(array).toHaveLength(expected.length);
    for (const [i, g] of array.entries()) expect(g).toBeCloseTo(expected[i] as number, 5);
  });

  test.each([
    [[nan, 4], nan, [nan, nan]],
    [[inf, 4, 0], inf, [nan, 0, 0]],
    [[-inf, -4], inf, [nan, -0]],
    [[inf, nan, 1], nan, [nan, nan, nan]],
  ])('%s has norm %d and becomes %s, as in PyTorch', (grad, norm, expected) => {
    for (const p of [2, inf, 3]) {
      const array = Float32Array.from(grad);
      expect(clipGradNorm(array, 2, { p })).toBe(norm);
      expect([...array]).toEqual(expected);
    }
  });

  test('one NaN makes all gradients NaN', () => {
    const grads = { a: new Float32Array([1, 2]), b: new Float32Array([nan]), c: null };
    expect(clipGradNorm(grads, 1)).toBeNaN();
    expect([...grads.a, ...grads.b].every(Number.isNaN)).toBe(true);
  });
});

describe('clipGradValue', () => {
  test('clamps to ±value; NaN passes', () => {
    const grads = [new Float32Array([3, -3, 0.5, -0.5, 0, -0]), null, new Float32Array([nan, inf, -inf])];
    clipGradValue(grads, 1);
    expect(grads.map((g) => g && [...g])).toEqual([[1, -1, 0.5, -0.5, 0, -0], null, [nan, 1, -1]]);
  });

  test('the bound is the float32 nearest to value', () => {
    const grad = new Float32Array([1, -1]);
    clipGradValue(grad, 0.1);
    expect([...grad]).toEqual([Math.fround(0.1), -Math.fround(0.1)]);
  });
});
