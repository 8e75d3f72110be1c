// minimize on a sum of functions: L-BFGS on the sum, first-order methods on one term a step.
import { expect, test } from 'vitest';
import { Adam, type MinimizeProgress, minimize } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import type { Any } from '../../../support/bad-input.js';
import { bowl, rosenbrock } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyMinimize = minimize as Any;

const data = [1, 2, 3, 6];
const squares = (bias = 0) => ({
  N: data.length,
  f(i: number, x: Numbers, grad: Numbers): number {
    grad[0] = x[0]! - data[i]! + bias;
    return (x[0]! - data[i]! + bias) ** 2 / 2;
  },
});

test("'lbfgs' minimizes the sum, and each term is an evaluation", () => {
  let calls = 0;
  const { f, N } = squares();
  const counted = {
    N,
    f: (i: number, x: Numbers, grad: Numbers) => {
      calls++;
      expect([...grad]).toEqual([calls <= N ? Number.NaN : 0]);
      return f(i, x, grad);
    },
  };
  for (const x0 of [f64(0), f32(0)]) {
    calls = 0;
    const result = minimize<Numbers>(counted, x0, { method: 'lbfgs' });
    expect([...result.x]).toEqual([3]);
    expect(result).toMatchObject({ value: 7, reason: 'gradient', evaluations: calls });
  }
});

test('f is called as a method', () => {
  class Problem {
    readonly N = 4;
    readonly #data = data;
    f(i: number, x: Float64Array, grad: Float64Array): number {
      grad[0] = x[0]! - this.#data[i]!;
      return grad[0] ** 2 / 2;
    }
  }
  expect([...minimize(new Problem(), f64(0)).x]).toEqual([3]);
});

test("with 'lbfgs', onPass gets the lowest point so far after each evaluation of the sum", () => {
  const seen: number[] = [];
  const onPass = (x: Numbers) => {
    seen.push(x[0]!);
  };
  const result = minimize(squares(), f64(0), { onPass, passes: 2 });
  expect(result).toMatchObject({ evaluations: 8, reason: 'evaluations' });
  expect(seen).toHaveLength(2);
  expect(seen[0]).toBe(0);
  expect(seen.at(-1)).toBe(result.x[0]);
});

test("with 'lbfgs', onPass never gets a higher point than before", () => {
  const values: number[] = [];
  const { evaluations, value } = minimize({ N: 1, f: (_, x, grad) => rosenbrock(x, grad) }, f64(-1.2, 1), {
    onPass: (x) => void values.push(rosenbrock(x, f64(0, 0))),
  });
  expect(values).toHaveLength(evaluations);
  for (const [i, v] of values.entries()) expect(v).toBeLessThanOrEqual(values[i - 1] ?? v);
  expect(values.at(-1)).toBe(value);
});

test('a first-order class uses one term per step', () => {
  const order: number[] = [];
  const { f, N } = squares();
  const points: number[] = [];
  const result = minimize(
    {
      N,
      f(i: number, x: Float32Array, grad: Float32Array) {
        order.push(i);
        return f(i, x, grad);
      },
    },
    f32(0),
    { method: 'adam', lr: 0.1, betas: [0.5, 0.9], passes: 3, onPass: (x) => void points.push(x[0]!) },
  );
  // Three passes, and a final evaluation of all terms.
  expect(result).toMatchObject({ iterations: 12, evaluations: 16, reason: 'evaluations', converged: false });
  for (let pass = 0; pass < 3; pass++) expect(order.slice(4 * pass, 4 * pass + 4).sort()).toEqual([0, 1, 2, 3]);
  expect(order.slice(12)).toEqual([0, 1, 2, 3]);

  const [x, grad] = [f32(0), f32(0)];
  const adam = new Adam(x, { lr: 0.1, betas: [0.5, 0.9] });
  const truth: number[] = [];
  for (const [step, i] of order.slice(0, 12).entries()) {
    f(i, x, grad);
    adam.step(grad);
    if (step % 4 === 3) truth.push(x[0]!);
  }
  expect(points).toEqual(truth);
  expect([...result.x]).toEqual([...x]);
  expect(result.value).toBe(data.reduce((sum, v) => sum + (x[0]! - v) ** 2 / 2, 0));
});

test('seed chooses the order of the terms, and the same seed gives the same bits', () => {
  const run = (seed?: number) => minimize(squares(), f32(0), { method: 'sgd', lr: 0.1, seed }).x[0];
  expect(run()).toBe(run(0));
  expect(run(1)).toBe(run(1));
  expect(run(1)).not.toBe(run(0));
});

test('ten passes are the default, and the other limits hold', () => {
  const run = (options: object) => anyMinimize(squares(), f32(0), { method: 'sgd', lr: 0.1, ...options });
  expect(run({})).toMatchObject({ iterations: 40, reason: 'evaluations' });
  expect(run({ maxIterations: 5 })).toMatchObject({ iterations: 5, reason: 'iterations' });
  expect(run({ maxEvaluations: 6 })).toMatchObject({ iterations: 6, evaluations: 10, reason: 'evaluations' });
  expect(run({ callback: ({ iteration }: MinimizeProgress) => iteration === 7 })).toMatchObject({
    iterations: 7,
    reason: 'aborted',
  });
  const controller = new AbortController();
  const callback = ({ iteration }: MinimizeProgress) => void (iteration === 3 && controller.abort());
  // Nothing is evaluated after an abort.
  expect(run({ callback, signal: controller.signal })).toMatchObject({
    iterations: 3,
    evaluations: 3,
    reason: 'aborted',
    value: Number.NaN,
  });
});

test('a first-order class minimizes one function', () => {
  const result = minimize(bowl, f32(3, 4), { method: 'sgd', lr: 0.5, gradTol: 1e-3 });
  expect(result).toMatchObject({ reason: 'gradient', converged: true });
  expect(minimize(bowl, f32(3, 4), { method: 'sgd', lr: 1e-5 })).toMatchObject({
    iterations: 1000,
    reason: 'iterations',
  });
});

test('a term that is not finite ends a first-order run at the last finite point', () => {
  let calls = 0;
  let last: number[] = [];
  const result = minimize(
    {
      N: 2,
      f(_: number, x: Float32Array, grad: Float32Array) {
        if (++calls === 4) return Number.NaN;
        if (calls < 4) last = [...x];
        return bowl(x, grad);
      },
    },
    f32(3, 4),
    { method: 'sgd', lr: 0.1 },
  );
  expect(result).toMatchObject({ reason: 'non-finite', nonFinite: 1, converged: false });
  expect([...result.x]).toEqual(last);
});
