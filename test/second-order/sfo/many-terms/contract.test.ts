// SFO with very many terms: those that are not active take no memory, and what no memory can hold is refused at once.
import { expect, test } from 'vitest';
import { minimize, SFO } from '../../../../lib/index.js';
import { f32 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const bowl = (i: number, x: Numbers, grad: Numbers): number => {
  let value = 0;
  for (let k = 0; k < x.length; k++) {
    grad[k] = x[k]! - Math.sin(i);
    value += (x[k]! - Math.sin(i)) ** 2 / 2;
  }
  return value;
};

test.each([2 ** 20, 1e7, 1e12, Number.MAX_SAFE_INTEGER])('N = %d', (N) => {
  const seen = new Set<number>();
  const x = f32(3, -3);
  const sfo = new SFO(x, {
    N,
    f(i, at, grads) {
      seen.add(i);
      return bowl(i, at, grads);
    },
  });
  for (let step = 0; step < 60; step++) sfo.step();
  for (const i of seen) expect(Number.isInteger(i) && i >= 0 && i < N).toBe(true);
  // The terms are drawn from all over the sum.
  expect(seen.size).toBeGreaterThan(5);
  expect(Math.max(...seen)).toBeGreaterThan(N / 2);
  expect(Math.min(...seen)).toBeLessThan(N / 2);
  expect(Math.abs(x[0]!)).toBeLessThan(1.5);
  const resumed = new SFO(x.slice(), { N, f: bowl });
  resumed.loadStateDict(sfo.stateDict());
  expect(resumed.step()).toEqual(sfo.step());
});

test('more columns than there is memory for', () => {
  const refused =
    /: N: 100000000, expected fewer terms \(with 1000000 elements they take 8000 GB, and this machine has \d+ GB\)$/;
  const f = () => {
    throw new Error('must not be called');
  };
  expect(thrown(() => new SFO(new Float32Array(1e6), { N: 1e8, f }))).toMatch(refused);
  expect(thrown(() => minimize<Float64Array>({ N: 1e8, f }, new Float64Array(1e6), { method: 'sfo' } as Any))).toMatch(
    'RangeError: minimize: fn.N: 100000000, expected fewer terms',
  );
});
