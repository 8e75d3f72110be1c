// checkGradient: which elements it checks, what it calls, and what it refuses.
import { expect, test } from 'vitest';
import { checkGradient } from '../../../../lib/index.js';
import { bytes, f32, f64 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { bowl } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyCheck = checkGradient as Any;

/** The elements that are checked, from the points at which the function is called. */
function checked(length: number, options: object): number[] {
  const elements = new Set<number>();
  let calls = 0;
  const start = new Float64Array(length).fill(0.5);
  checkGradient(
    (x, grad) => {
      calls++;
      for (const [i, v] of x.entries()) if (v !== 0.5) elements.add(i);
      return bowl(x, grad);
    },
    start,
    options,
  );
  expect(calls).toBe(1 + 2 * elements.size);
  return [...elements].sort((a, b) => a - b);
}

test('it checks all elements of a short point, and a sample of a long one', () => {
  expect(checked(7, {})).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(checked(100, {})).toHaveLength(100);
  expect(checked(150, {})).toHaveLength(100);
  expect(checked(150, { samples: 150 })).toHaveLength(150);
  expect(checked(150, { samples: 1000 })).toHaveLength(150);
  expect(checked(7, { samples: 3 })).toHaveLength(3);
});

test('seed chooses the sample, and every element has its turn', () => {
  const sample = (seed?: number) => checked(50, { samples: 5, seed });
  expect(sample()).toEqual(sample(0));
  expect(sample(1)).not.toEqual(sample(0));
  const seen = new Set(Array.from({ length: 100 }, (_, seed) => sample(seed)).flat());
  expect(seen.size).toBe(50);
});

test('fn gets arrays of the type of x, which does not change; and may add to its gradient', () => {
  for (const x of [f32(3, 4), f64(3, 4)]) {
    const before = bytes(x);
    const adds = (at: Numbers, grad: Numbers) => {
      expect([at.constructor, grad.constructor]).toEqual([x.constructor, x.constructor]);
      expect(at).not.toBe(x);
      for (const [i, v] of at.entries()) grad[i]! += v;
      return Array.from(at).reduce((sum, v) => sum + v ** 2 / 2, 0);
    };
    expect(checkGradient<Numbers>(adds, x).maxRelativeError).toBeLessThan(1e-3);
    expect(bytes(x)).toEqual(before);
  }
});

test('a point without elements has no error', () => {
  expect(checkGradient(() => 1, f64())).toEqual({
    maxRelativeError: Number.NaN,
    index: -1,
    analytic: Number.NaN,
    numeric: Number.NaN,
  });
});

test('errors', () => {
  const error = new Error('mine');
  const throwing = () => {
    throw error;
  };
  const sqrt = (x: Numbers, grad: Numbers) => {
    grad[0] = 0.5 / Math.sqrt(x[0]!);
    return Math.sqrt(x[0]!);
  };
  const nan = (_: Numbers, grad: Numbers) => {
    grad[0] = Number.NaN;
    return 1;
  };
  for (const [args, message] of [
    [[5, f64(1)], 'TypeError: checkGradient: fn: 5, expected a function, (x, grad) => value, or { N, f }'],
    [[bowl, [1]], 'TypeError: checkGradient: x: [1], expected a Float32Array or a Float64Array (convert it'],
    [[bowl, f64(1, Number.NaN)], 'RangeError: checkGradient: x[1]: NaN, expected a finite number'],
    [[bowl, f64(1), { sample: 1 }], 'TypeError: checkGradient: sample: unknown option, expected samples'],
    [[bowl, f64(1), { samples: 0 }], 'RangeError: checkGradient: samples: 0, expected an integer in [1, inf)'],
    [[bowl, f64(1), { seed: -1 }], 'RangeError: checkGradient: seed: -1, expected an integer in [0, 4294967296)'],
    [[() => 1, f64(1)], 'TypeError: checkGradient: grad[0] of fn: not written, expected the derivative at x'],
    [[async () => 1, f64(1)], 'TypeError: checkGradient: fn: a Promise, expected the value, a number'],
    [[() => Number.NaN, f64(1)], 'RangeError: checkGradient: fn at x: NaN, expected a finite value'],
    [[sqrt, f64(1e-7)], 'RangeError: checkGradient: fn at x[0] - 0.0000060'],
    [[nan, f64(1)], 'RangeError: checkGradient: grad[0]: NaN, expected a finite derivative'],
    [[throwing, f64(1)], 'Error: mine'],
  ] as const)
    expect(thrown(() => anyCheck(...args))).toMatch(message);
});
