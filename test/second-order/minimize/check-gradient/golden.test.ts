// checkGradient: right gradients pass, wrong ones are found, and the difference quotient is the one of the formula.
import { describe, expect, test } from 'vitest';
import { checkGradient } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import { random } from '../../../support/random.js';
import { rosenbrock } from '../../../support/second-order/functions.js';
import { type Numbers, problems } from '../../../support/second-order/problems.js';
import { quadratics } from '../../../support/second-order/sums.js';

// At the start of brown-badly-scaled, the value is 1e12, and its last digit hides the derivatives of 1.
const known = Object.entries(problems).filter(
  ([name, { start }]) => start.length <= 100 && name !== 'brown-badly-scaled',
);

describe.each(known)('%s', (_, { f, start }) => {
  const u = random(3);
  const at = start.map((v) => v + 0.1 * (u() - 0.5));

  test('a right gradient passes, in float64 and in float32', () => {
    expect(checkGradient(f, at).maxRelativeError).toBeLessThan(1e-4);
    expect(checkGradient(f, Float32Array.from(at)).maxRelativeError).toBeLessThan(2e-2);
  });

  test('an element that is 1 % off is found, whichever it is', () => {
    const truth = new Float64Array(at.length);
    f(at, truth);
    for (let i = 0; i < at.length; i += Math.ceil(at.length / 5)) {
      if (truth[i] === 0) continue;
      const wrong = (x: Numbers, grad: Numbers) => {
        const value = f(x, grad);
        grad[i]! *= 1.01;
        return value;
      };
      const report = checkGradient(wrong, at);
      expect(report.index).toBe(i);
      expect(report.maxRelativeError).toBeGreaterThan(1e-4);
      expect(report.analytic).toBe(truth[i]! * 1.01);
      expect(report.numeric / truth[i]!).toBeCloseTo(1, 3);
    }
  });
});

test('the quotient and the error are those of the formula, with the step as it was rounded', () => {
  const cubic = (x: Numbers, grad: Numbers) => {
    grad[0] = 7;
    return x[0]! ** 3;
  };
  for (const [at, epsilon] of [
    [f64(3), 2 ** -52],
    [f64(0.25), 2 ** -52],
    [f32(3), 2 ** -23],
    [f32(-1000), 2 ** -23],
  ] as const) {
    const [x] = at as Numbers;
    const h = Math.cbrt(epsilon) * Math.max(1, Math.abs(x!));
    const round = at instanceof Float32Array ? Math.fround : (v: number) => v;
    const [above, below] = [round(x! + h), round(x! - h)];
    const numeric = (above ** 3 - below ** 3) / (above - below);
    const change = Math.abs((above ** 3 - x! ** 3 - (x! ** 3 - below ** 3)) / h);
    expect(checkGradient<Numbers>(cubic, at)).toEqual({
      maxRelativeError: Math.abs(7 - numeric) / Math.max(7, Math.abs(numeric), change),
      index: 0,
      analytic: 7,
      numeric,
    });
  }
});

test('at a minimum, the derivatives 0 are right', () => {
  expect(checkGradient(rosenbrock, f64(1, 1)).maxRelativeError).toBeLessThan(1e-5);
  expect(checkGradient(rosenbrock, f32(1, 1)).maxRelativeError).toBeLessThan(1e-2);
  const constant = (_: Numbers, grad: Numbers) => {
    grad.fill(0);
    return 5;
  };
  expect(checkGradient(constant, f64(1, 2))).toEqual({ maxRelativeError: 0, index: 0, analytic: 0, numeric: 0 });
});

test('a sum of terms is checked as a whole', () => {
  const sum = quadratics(5, 4);
  expect(checkGradient(sum, sum.start).maxRelativeError).toBeLessThan(1e-8);
  const wrong = {
    N: 5,
    f(i: number, x: Numbers, grad: Numbers) {
      const value = sum.f(i, x, grad);
      if (i === 3) grad[2]! *= -1;
      return value;
    },
  };
  expect(checkGradient(wrong, sum.start)).toMatchObject({ index: 2 });
  expect(checkGradient(wrong, sum.start).maxRelativeError).toBeGreaterThan(0.05);
});
