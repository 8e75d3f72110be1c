// A function must write its gradient. The first call finds NaN there, so that a forgotten element does not pass for 0.
import { describe, expect, test } from 'vitest';
import { LBFGS, minimize, minimizeAsync, optimizers, SFO } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { bowl } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyMinimize = minimize as Any;

type Fn = (x: Numbers, grad: Numbers) => number;
const hint = 'expected the derivative at x (fn must write every element of grad)';
/** Writes only some elements of the gradient. */
const partial =
  (...written: number[]): Fn =>
  (x, grad) => {
    for (const i of written) grad[i] = x[i]!;
    return 1;
  };
/** Options with which each class can be built. */
const methods = ['lbfgs', ...Object.keys(optimizers)].map((method): [string, object] => [method, { method, lr: 0.1 }]);
const optionsOf = (method: string, options: object) => (method === 'lbfgs' ? { method } : options);

describe('a gradient that was never written is a TypeError at the first call', () => {
  test.each(methods)('%s', (method, options) => {
    let calls = 0;
    const run = (fn: Any) => thrown(() => anyMinimize(fn, f32(3, 4, 5), optionsOf(method, options)));
    const counted = (fn: Fn): Fn => {
      calls = 0;
      return (x, grad) => {
        calls++;
        return fn(x, grad);
      };
    };
    expect(run(counted(partial()))).toBe(`TypeError: minimize: grad[0] of fn: not written, ${hint}`);
    expect(calls).toBe(1);
    expect(run(counted(partial(0, 2)))).toBe(`TypeError: minimize: grad[1] of fn: not written, ${hint}`);
    const fn = counted(partial(0, 1));
    const f = (_: number, x: Numbers, grad: Numbers) => fn(x, grad);
    expect(run({ N: 3, f })).toMatch(/^TypeError: minimize: grad\[2\] of fn\.f\(\d\): not written, /);
    expect(calls).toBe(1);
  });

  test.each([f32(3, 4), f64(3, 4)])('sfo, %o', (x0) => {
    const terms = { N: 3, f: () => 1 };
    const refused = /^TypeError: minimize: grad\[0\] of fn\.f\(\d\): not written, /;
    expect(thrown(() => minimize<Numbers>(terms, x0, { method: 'sfo' }))).toMatch(refused);
  });

  test('minimizeAsync', async () => {
    await expect(minimizeAsync(async () => 1, f64(3))).rejects.toThrow(
      new TypeError(`minimizeAsync: grad[0] of fn: not written, ${hint}`),
    );
  });

  test('the class SFO, by the name of the param', () => {
    const params = { v: f32(1, 2), w: f32(3) };
    const sfo = new SFO(params, {
      N: 2,
      f(_, { v }, grads) {
        grads.v.set(v);
        return 1;
      },
    });
    expect(thrown(() => sfo.step())).toMatch(
      /^TypeError: SFO: grads\["w"\]\[0\] of f\(\d\): not written, expected the derivative at params \(f must write every element of grads\)$/,
    );
    expect([...params.v, ...params.w]).toEqual([1, 2, 3]);
  });

  test('a later term that forgets its gradient is found in the first pass', () => {
    const f = (i: number, x: Numbers, grad: Numbers) => (i < 2 ? bowl(x, grad) : 1);
    for (const options of [{}, { method: 'adam' }, { method: 'sfo' }])
      expect(thrown(() => anyMinimize({ N: 3, f }, f32(3), options))).toMatch('grad[0] of fn.f(2): not written');
  });
});

describe('what still is a gradient', () => {
  test.each([f32(3, 4), f64(3, 4)])('one that is added to what it finds, of type %o', (x0) => {
    const [set, added] = [[] as number[], [] as number[]];
    const adds: Fn = (x, grad) => {
      const one = new Float64Array(2);
      const value = bowl(x, one);
      for (const [i, v] of one.entries()) grad[i]! += v;
      added.push(value);
      return value;
    };
    const sets: Fn = (x, grad) => {
      set.push(bowl(x, grad));
      return set.at(-1)!;
    };
    const [a, b] = [minimize<Numbers>(adds, x0), minimize<Numbers>(sets, x0)];
    expect(a).toEqual(b);
    // Called once more at the start, to see what it adds.
    expect(added).toEqual([set[0], ...set]);
  });

  test('one that is added to some elements only', () => {
    const first: Fn = (x, grad) => {
      grad[0]! += 2 * (x[0]! - 1);
      return (x[0]! - 1) ** 2;
    };
    expect([...minimize(first, f64(3, 4)).x]).toEqual([1, 4]);
    const f = (i: number, x: Numbers, grad: Numbers) => {
      grad[i]! += x[i]! - i;
      return (x[i]! - i) ** 2 / 2;
    };
    for (const method of ['lbfgs', 'sfo'] as const) {
      const { x } = minimize<Float64Array>({ N: 3, f }, f64(3, 4, 5), { method, passes: 100 } as Any);
      for (const [i, v] of x.entries()) expect(v).toBeCloseTo(i, 5);
    }
  });

  test('one of NaN, which was written: the run ends with the reason non-finite', () => {
    for (const x0 of [f32(3, 4), f64(3, 4)])
      for (const bad of [Number.NaN, -Number.NaN, Number.POSITIVE_INFINITY])
        for (const at of [0, 1]) {
          const fn: Fn = (x, grad) => {
            bowl(x, grad);
            grad[at] = bad;
            return 1;
          };
          expect(minimize<Numbers>(fn, x0)).toMatchObject({ reason: 'non-finite', evaluations: 1, nonFinite: 1 });
        }
  });

  test('none at all where the value is not finite', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(minimize(() => bad, f64(3))).toMatchObject({ reason: 'non-finite', value: bad });
      const wall: Fn = (x, grad) => {
        if (x[0]! <= 0) return bad;
        grad[0] = 1 - 0.01 / x[0]!;
        return x[0]! - 0.01 * Math.log(x[0]!);
      };
      expect(minimize(wall, f64(1.5))).toMatchObject({ reason: 'gradient', converged: true });
    }
  });

  test("LBFGS leaves the user's arrays alone: they may hold what a closure adds to", () => {
    const [x, grads] = [f32(3), f32(0.5)];
    let first: number | undefined;
    new LBFGS(x, { grads, maxIterations: 1 }).step(() => {
      first ??= grads[0];
      return bowl(x, grads);
    });
    expect(first).toBe(0.5);
  });
});
