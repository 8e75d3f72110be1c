// maxTime: every method ends with the best point so far. The clock is the test's own.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type MinimizeOptions, minimize, minimizeAsync } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import { type Any, notNumbers, thrown } from '../../../support/bad-input.js';
import { bowl, rosenbrock } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyMinimize = minimize as Any;

let now = 0;
let calls = 0;
beforeEach(() => {
  now = 1000;
  calls = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** A function that takes `ms` milliseconds. */
const taking = (ms: number, fn = rosenbrock) => {
  return (x: Numbers, grad: Numbers) => {
    calls++;
    now += ms;
    return fn(x, grad);
  };
};
const terms = (N: number, ms: number) => {
  const fn = taking(ms, bowl);
  return { N, f: (_: number, x: Numbers, grad: Numbers) => fn(x, grad) };
};

describe('maxTime', () => {
  test('lbfgs ends before the evaluation that comes too late, with the lowest point', () => {
    for (let most = 1; most < 40; most++) {
      calls = 0;
      let lowest = Number.POSITIVE_INFINITY;
      const fn = taking(10);
      const seen = (x: Numbers, grad: Numbers) => {
        const value = fn(x, grad);
        lowest = Math.min(lowest, value);
        return value;
      };
      const result = minimize(seen, f64(-1.2, 1), { maxTime: 10 * most - 5 });
      expect(result).toMatchObject({ reason: 'time', converged: false, evaluations: most, value: lowest });
      expect(calls).toBe(most);
      expect(rosenbrock(result.x, f64(0, 0))).toBe(lowest);
    }
  });

  test('the first evaluation may take any time, so that there is a value', () => {
    expect(minimize(taking(1e6), f64(-1.2, 1), { maxTime: 1e-3 })).toMatchObject({
      reason: 'time',
      evaluations: 1,
      value: rosenbrock(f64(-1.2, 1), f64(0, 0)),
    });
  });

  test.each([{ method: 'adam' }, { method: 'sfo' }, { method: 'lbfgs' }] as MinimizeOptions<Float32Array>[])(
    'terms: %o',
    (options) => {
      const run = minimize<Float32Array>(terms(3, 10), f32(3, 4), { ...options, passes: 1000, maxTime: 45 } as Any);
      expect(run).toMatchObject({ reason: 'time', converged: false });
      // Five evaluations, and all terms once more at the last point. L-BFGS stops within a sum.
      expect(calls).toBe(options.method === 'lbfgs' ? 5 : 8);
      expect(run.evaluations).toBe(calls);
      expect(Number.isFinite(run.value)).toBe(true);
      expect(run.value).toBeLessThanOrEqual(3 * bowl(f32(3, 4), f32(0, 0)));
    },
  );

  test('the evaluation at the last point may take as long again, and no longer', () => {
    for (const method of ['adam', 'sfo'] as const) {
      calls = 0;
      const result = minimize<Float32Array>(terms(100, 10), f32(3, 4), { method, maxTime: 45 } as Any);
      expect(result).toMatchObject({ reason: 'time', evaluations: 10, value: Number.NaN, gradNorm: Number.NaN });
      expect(calls).toBe(10);
      expect(result.x.every(Number.isFinite)).toBe(true);
    }
  });

  test('Infinity is no limit, and a run that ends in time says why it did', () => {
    const free = minimize(taking(10), f64(-1.2, 1));
    expect(minimize(taking(10), f64(-1.2, 1), { maxTime: Number.POSITIVE_INFINITY })).toEqual(free);
    expect(minimize(taking(10), f64(-1.2, 1), { maxTime: 1e6 })).toEqual(free);
  });

  test('minimizeAsync fulfils its promise at the limit too', async () => {
    const fn = taking(10);
    expect(await minimizeAsync(async (x, grad) => fn(x, grad), f64(-1.2, 1), { maxTime: 75 })).toMatchObject({
      reason: 'time',
      evaluations: 8,
    });
  });

  test('it must be a positive number', () => {
    for (const [value, shown] of notNumbers)
      expect(thrown(() => anyMinimize(bowl, f64(3), { maxTime: value }))).toBe(
        `TypeError: minimize: maxTime: ${shown}, expected a number in (0, inf]`,
      );
    for (const value of [0, -1, Number.NaN])
      expect(thrown(() => anyMinimize(bowl, f64(3), { maxTime: value }))).toBe(
        `RangeError: minimize: maxTime: ${value}, expected (0, inf]`,
      );
  });
});
