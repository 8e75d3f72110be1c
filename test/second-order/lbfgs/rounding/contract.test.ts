// Where rounding hides every lower point, a search ends after a few evaluations, and says why.
import { describe, expect, test } from 'vitest';
import { LBFGS, type LBFGSResult, minimize } from '../../../../lib/index.js';
import { bytes, f32, f64 } from '../../../support/arrays.js';
import { random } from '../../../support/random.js';
import type { Numbers } from '../../../support/second-order/problems.js';

type Loss = (x: Numbers, grad: Numbers) => number;

/** ½·Σ(i + 1)·(xᵢ − ⅓)², whose minimum float32 cannot represent. */
const thirds: Loss = (x, grad) => {
  let value = 0;
  for (let i = 0; i < x.length; i++) {
    grad[i] = (i + 1) * (x[i]! - 1 / 3);
    value += ((i + 1) * (x[i]! - 1 / 3) ** 2) / 2;
  }
  return value;
};
/** Least squares with 60 random rows. */
const leastSquares: Loss = (x, grad) => {
  const u = random(5);
  grad.fill(0);
  let value = 0;
  for (let row = 0; row < 60; row++) {
    const a = Float64Array.from(x, () => u() - 0.5);
    const error = a.reduce((sum, v, j) => sum + v * x[j]!, -u());
    value += error ** 2 / 2;
    for (const [j, v] of a.entries()) grad[j]! += error * v;
  }
  return value;
};
const chained: Loss = (x, grad) => {
  grad.fill(0);
  let value = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const t = x[i + 1]! - x[i]! ** 2;
    grad[i]! += -400 * x[i]! * t - 2 * (1 - x[i]!);
    grad[i + 1]! += 200 * t;
    value += 100 * t ** 2 + (1 - x[i]!) ** 2;
  }
  return value;
};
/** A loss that is itself computed in float32. */
const rounded =
  (loss: Loss): Loss =>
  (x, grad) =>
    Math.fround(loss(x, grad));

describe.each([
  ['a minimum that float32 cannot represent', thirds, 20],
  ['one far from zero', (x: Numbers, grad: Numbers) => thirds(x, grad) + 100, 20],
  ['least squares', leastSquares, 30],
  ['a valley', chained, 30],
] as [string, Loss, number][])('%s', (_, loss, length) => {
  test.each([
    ['a loss in float64', loss],
    ['a loss in float32', rounded(loss)],
  ])('%s', (_, f) => {
    const [x, grads] = [new Float32Array(length), new Float32Array(length)];
    const lbfgs = new LBFGS(x, { grads });
    const step = () => lbfgs.step(() => f(x, grads));
    let result: LBFGSResult;
    let steps = 0;
    do result = step();
    while (result.applied && ++steps < 300);
    expect(result.applied).toBe(false);
    const [at, { loss: lowest }] = [bytes(x), result];
    for (let again = 0; again < 5; again++) {
      result = step();
      expect(result).toMatchObject({ applied: false, loss: lowest });
      expect(['function', 'gradient']).toContain(result.reason);
      expect(result.evaluations).toBeLessThanOrEqual(4);
      expect(bytes(x)).toEqual(at);
    }
  });
});

test('minimize ends there too, and close to the minimum', () => {
  const result = minimize(thirds, new Float32Array(20), { gradTol: 0, funTol: 0 });
  expect(result).toMatchObject({ reason: 'function', converged: true });
  for (const v of result.x) expect(Math.abs(v - 1 / 3)).toBeLessThan(2 ** -23);
  expect(result.evaluations - result.iterations).toBeLessThan(12);
});

test('a first step that rounds to nothing costs no evaluation', () => {
  const flat: Loss = (x, grad) => {
    grad[0] = 1e-3;
    return 1e-3 * x[0]!;
  };
  for (const x0 of [f32(1e6), f64(1e16)]) {
    const result = minimize<Numbers>(flat, x0, { gradTol: 0, funTol: 0 });
    expect(result).toMatchObject({ reason: 'function', evaluations: 1, iterations: 0 });
    expect([...result.x]).toEqual([...x0]);
  }
});

describe('what only looks like it is searched to the end', () => {
  test('an equal value on the other side of a valley', () => {
    const valley: Loss = (x, grad) => {
      grad[0] = 2 * x[0]!;
      return x[0]! ** 2;
    };
    // The first trial is at −½, where the value is the same.
    expect(minimize(valley, f64(0.5)).x[0]).toBeCloseTo(0, 8);
  });

  test('a plateau of equal values with a slope, and lower values farther on', () => {
    const stairs: Loss = (x, grad) => {
      grad[0] = 1;
      return Math.ceil(x[0]! * 4) / 4;
    };
    expect(minimize(stairs, f64(0), { maxEvaluations: 200 }).value).toBeLessThan(-10);
  });

  test('a gradient that points uphill is still the reason line-search', () => {
    const wrong: Loss = (x, grad) => {
      grad[0] = -2 * x[0]!;
      return x[0]! ** 2;
    };
    for (const x0 of [f32(1), f64(1)])
      expect(minimize<Numbers>(wrong, x0)).toMatchObject({ reason: 'line-search', converged: false });
  });
});
