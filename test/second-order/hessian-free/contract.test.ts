// HessianFree and minimize({ method: 'hessian-free' }): steps, options, limits, and what goes wrong on the way.
import { describe, expect, test, vi } from 'vitest';
import * as library from '../../../lib/index.js';
import { Adam, HessianFree, type HessianFreeProgress, minimize, minimizeAsync } from '../../../lib/index.js';
import { bytes, f32 } from '../../support/arrays.js';
import { type Any, thrown } from '../../support/bad-input.js';
import { neurons, rosenbrockSquares } from '../../support/second-order/gauss-newton.js';
import { AnyHessianFree, setup } from '../../support/second-order/hessian-free.js';
import type { Numbers } from '../../support/second-order/problems.js';

const { f, gaussNewton } = rosenbrockSquares;
const method = 'hessian-free';
const start = () => Float64Array.of(-1.2, 1);

describe('HessianFree', () => {
  test('is exported, and is no first-order class', () => {
    for (const name of ['HessianFree', 'gaussNewtonProduct']) expect(library).toHaveProperty(name);
    expect(library.optimizers).not.toHaveProperty('hessianfree');
    expect(HessianFree.optimizerName).toBe('HessianFree');
  });

  test('a step updates params and gradients in place, and reports them', () => {
    const { x, grads, hf, closure } = setup();
    const calls = vi.fn(closure);
    const result = hf.step(calls);
    expect(Object.keys(result).sort()).toEqual(
      [
        'applied',
        'cgIterations',
        'damping',
        'evaluations',
        'gradNorm',
        'iterations',
        'loss',
        'nonFinite',
        'reason',
        'rho',
      ].sort(),
    );
    expect(result).toMatchObject({ applied: true, damping: 1, iterations: 1, nonFinite: 0, reason: 'iterations' });
    expect(result.evaluations).toBe(calls.mock.calls.length);
    const grad = f32(0, 0);
    expect(f(x, grad)).toBe(result.loss);
    expect(bytes(grads)).toEqual(bytes(grad));
    expect(result.gradNorm).toBeCloseTo(Math.hypot(...grad), 5);
    expect(hf.stepCount).toBe(1);
  });

  test('steps of one iteration are those of minimize in float32', () => {
    const { x, hf, closure } = setup();
    const seen: HessianFreeProgress<Float32Array>[] = [];
    minimize(f, f32(-1.2, 1), { method, gaussNewton, maxIterations: 12, callback: (p) => void seen.push(p) });
    for (const progress of seen) {
      const { loss, damping, rho, cgIterations } = hf.step(closure);
      expect({ value: loss, damping, rho, cgIterations }).toEqual({
        value: progress.value,
        damping: progress.damping,
        rho: progress.rho,
        cgIterations: progress.cgIterations,
      });
      expect(bytes(x)).toEqual(bytes(progress.x));
    }
    expect(seen).toHaveLength(12);
  });

  test('maxIterations in one step give the bits of so many steps', () => {
    const [one, many] = [setup({ maxIterations: 9 }), setup()];
    const { iterations } = one.hf.step(one.closure);
    for (let i = 0; i < 9; i++) many.hf.step(many.closure);
    expect(iterations).toBe(9);
    expect(bytes(one.x)).toEqual(bytes(many.x));
    expect(one.hf.damping).toBe(many.hf.damping);
  });

  test('every structure of params gives the same bits; v and out have it too', () => {
    const one = setup();
    const [a, b] = [f32(-1.2), f32(1)];
    const grads = { a: f32(0), b: [f32(0)] as const };
    const params = { a, b: [{ data: b, shape: [1, 1] }] as const };
    const hf = new HessianFree(params, {
      grads,
      gaussNewton(given, v, out) {
        expect(given).toBe(params);
        const whole = f32(0, 0);
        gaussNewton(f32(a[0]!, b[0]!), f32(v.a[0]!, v.b[0][0]!), whole);
        out.a[0] = whole[0]!;
        out.b[0][0] = whole[1]!;
      },
    });
    for (let i = 0; i < 5; i++) {
      one.hf.step(one.closure);
      hf.step(() => {
        const whole = f32(0, 0);
        const loss = f(f32(a[0]!, b[0]!), whole);
        grads.a[0] = whole[0]!;
        grads.b[0][0] = whole[1]!;
        return loss;
      });
    }
    expect(bytes(f32(a[0]!, b[0]!))).toEqual(bytes(one.x));
  });

  test('in the first iteration of a step, products follow the call of the closure at the params', () => {
    const calls: string[] = [];
    const point = () => [...x].join();
    const { x, hf, closure } = setup({
      gaussNewton: (params: Float32Array, v: Float32Array, out: Float32Array) => {
        calls.push(`product ${point()}`);
        gaussNewton(params, v, out);
      },
    });
    const first = point();
    const { cgIterations } = hf.step(() => {
      calls.push(`closure ${point()}`);
      return closure();
    });
    expect(calls.slice(0, cgIterations + 1)).toEqual([
      `closure ${first}`,
      ...Array.from({ length: cgIterations }, () => `product ${first}`),
    ]);
  });

  test('damping is read and assigned', () => {
    const { hf, closure } = setup({ damping: 8 });
    expect(hf.damping).toBe(8);
    hf.damping = 3;
    expect(hf.step(closure).damping).toBe(3);
    expect([2, 4.5]).toContain(hf.damping);
    expect(thrown(() => Object.assign(hf, { damping: -1 }))).toBe(
      'RangeError: HessianFree: damping: -1, expected [0, inf)',
    );
  });

  test('maxEvaluations ends a step at the best point', () => {
    for (let maxEvaluations = 1; maxEvaluations < 12; maxEvaluations++) {
      const { x, grads, hf, closure } = setup({ maxEvaluations, maxIterations: 10 });
      const { loss, evaluations, reason } = hf.step(closure);
      expect({ evaluations, reason }).toEqual({ evaluations: maxEvaluations, reason: 'evaluations' });
      const grad = f32(0, 0);
      expect(f(x, grad)).toBe(loss);
      expect(bytes(grads)).toEqual(bytes(grad));
      expect(loss).toBeLessThanOrEqual(f(f32(-1.2, 1), grad));
    }
  });

  test('a step is refused while a stepAsync of another optimizer on the same params is pending', async () => {
    const [x, grads] = [library.allocate(2), library.allocate(2)];
    const adam = new Adam(x);
    const hf = new AnyHessianFree(x, { grads, gaussNewton });
    const queue = adam.stepAsync(grads);
    expect(thrown(() => hf.step(() => 1))).toMatch(/^TypeError: HessianFree: params: the memory of a step in flight/);
    await queue;
    expect(hf.step(() => f(x, grads)).applied).toBe(true);
  });

  test('the functions cannot use the optimizer', () => {
    let inside: unknown;
    const { hf, closure } = setup({
      gaussNewton: (params: Numbers, v: Numbers, out: Numbers) => {
        inside ??= thrown(() => hf.stateDict());
        gaussNewton(params, v, out);
      },
    });
    hf.step(closure);
    expect(inside).toMatch(/^TypeError: HessianFree: this: an optimizer in the middle of a call/);
  });

  test('if a function throws, the params are at the last good point', () => {
    for (const at of [0, 1, 2, 3]) {
      const { x, hf, closure } = setup();
      let calls = 0;
      const failing = () => {
        if (calls++ === at) throw new Error('mine');
        return closure();
      };
      expect(thrown(() => hf.step(failing))).toBe('Error: mine');
      expect([...x]).toEqual([...f32(-1.2, 1)]);
      expect(hf.step(closure).applied).toBe(true);
    }
  });

  test('an empty param', () => {
    const { f: loss, gaussNewton: product } = rosenbrockSquares;
    const [x, g] = [f32(-1.2, 1), f32(0, 0)];
    const hf = new HessianFree([f32(), x], {
      grads: [f32(), g],
      gaussNewton: ([, params], [, v], [, out]) => product(params!, v!, out!),
    });
    expect(hf.step(() => loss(x, g)).applied).toBe(true);
    expect((hf.stateDict() as Any).state[0].cgIterate).toHaveLength(0);
  });
});

describe('non-finite values and negative curvature', () => {
  test('a step backs off from values that are not finite, and counts them', () => {
    // The full step leads to x < 0, where the function is not defined.
    const logs = (x: Numbers, grad: Numbers) => {
      grad[0] = 1 - 0.01 / x[0]!;
      return x[0]! - 0.01 * Math.log(x[0]!);
    };
    const result = minimize(logs, Float64Array.of(1), {
      method,
      gaussNewton: (x, v, out) => void (out[0] = (0.01 / x[0]! ** 2) * v[0]!),
      damping: 0.001,
    });
    expect(result.nonFinite).toBeGreaterThan(0);
    expect(result.converged).toBe(true);
    expect(result.x[0]).toBeCloseTo(0.01, 6);
  });

  test('a start that is not finite', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const result = minimize((_, g) => g.fill(0) && value, start(), { method, gaussNewton });
      expect(result).toMatchObject({ reason: 'non-finite', converged: false, iterations: 0, nonFinite: 1 });
    }
    const { hf, x } = setup();
    expect(thrown(() => hf.step(() => Number.NaN))).toBe(
      'RangeError: HessianFree: closure: NaN, expected a finite loss',
    );
    expect([...x]).toEqual([...f32(-1.2, 1)]);
  });

  test('no finite point along the line', () => {
    let calls = 0;
    const result = minimize((x, g) => (calls++ === 0 ? f(x, g) : Number.NaN), start(), { method, gaussNewton });
    expect(result).toMatchObject({ reason: 'non-finite', x: start() });
    const { hf, closure, x } = setup();
    let steps = 0;
    expect(thrown(() => hf.step(() => (steps++ === 0 ? closure() : Number.NaN)))).toMatch(
      /^RangeError: HessianFree: closure: a loss or gradient that is not finite all along the line.*last good point/,
    );
    expect([...x]).toEqual([...f32(-1.2, 1)]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('a product of %s', (bad) => {
    const broken = (_x: Numbers, _v: Numbers, out: Numbers) => void out.fill(bad);
    expect(minimize(f, start(), { method, gaussNewton: broken })).toMatchObject({ reason: 'non-finite', x: start() });
    const { hf, closure } = setup({ gaussNewton: broken });
    expect(thrown(() => hf.step(closure))).toMatch(
      /^RangeError: HessianFree: gaussNewton: NaN or an infinity, expected a finite product/,
    );
    // Later ones end conjugate gradients.
    let calls = 0;
    const later = minimize(f, start(), {
      method,
      gaussNewton: (x, v, out) => (calls++ === 4 ? void out.fill(bad) : gaussNewton(x, v, out)),
    });
    expect(later.reason).toBe('gradient');
  });

  test('negative curvature ends conjugate gradients; a larger damping follows where they had no step', () => {
    // The Hessian of x⁴/4 − x²/2 + y²/2 is negative at x = 0.1, where the gradient points along x.
    const wells = (x: Numbers, grad: Numbers) => {
      grad[0] = x[0]! ** 3 - x[0]!;
      grad[1] = x[1]!;
      return x[0]! ** 4 / 4 - x[0]! ** 2 / 2 + x[1]! ** 2 / 2;
    };
    const seen: HessianFreeProgress<Float64Array>[] = [];
    const { x, converged } = minimize(wells, Float64Array.of(0.1, 0), {
      method,
      damping: 0.5,
      gaussNewton: (at, v, out) => out.set([(3 * at[0]! ** 2 - 1) * v[0]!, v[1]!]),
      callback: (progress) => void seen.push(progress),
    });
    expect(seen.slice(0, 2).map(({ damping, cgIterations, rho }) => ({ damping, cgIterations, rho }))).toEqual([
      { damping: 0.5, cgIterations: 0, rho: Number.NEGATIVE_INFINITY },
      { damping: 0.75, cgIterations: 0, rho: Number.NEGATIVE_INFINITY },
    ]);
    expect(converged).toBe(true);
    expect(x[0]).toBeCloseTo(1, 6);
    for (const [i, { value }] of seen.entries()) expect(value).toBeLessThanOrEqual(seen[Math.max(0, i - 1)]!.value);
  });

  test('a wrong gradient ends the run', () => {
    const result = minimize(
      (x, g) => {
        const value = f(x, g);
        for (let k = 0; k < 2; k++) g[k] = -g[k]!;
        return value;
      },
      start(),
      { method, gaussNewton },
    );
    expect(result).toMatchObject({ reason: 'line-search', converged: false, x: start(), iterations: 10 });
  });
});

describe('minimize', () => {
  test('calls back after each iteration', () => {
    const seen: HessianFreeProgress<Float64Array>[] = [];
    const { x, value, iterations, evaluations } = minimize(f, start(), {
      method,
      gaussNewton,
      callback: (p) => void seen.push(p),
    });
    expect(Object.keys(seen[0]!).sort()).toEqual(
      ['cgIterations', 'damping', 'evaluations', 'gradNorm', 'iteration', 'rho', 'value', 'x'].sort(),
    );
    expect(seen.map(({ iteration }) => iteration)).toEqual(Array.from({ length: iterations }, (_, i) => i + 1));
    expect(seen.at(-1)).toMatchObject({ x, value, evaluations });
    expect(seen[0]!.damping).toBe(1);
    for (const [i, { damping, rho }] of seen.slice(0, -1).entries())
      expect(seen[i + 1]!.damping).toBe(damping * (rho < 0.25 ? 1.5 : rho > 0.75 ? 2 / 3 : 1));
  });

  test('limits, tolerances and answers of the callback end a run', () => {
    const options = { method, gaussNewton } as const;
    expect(minimize(f, start(), { ...options, maxIterations: 3 })).toMatchObject({
      reason: 'iterations',
      iterations: 3,
    });
    expect(minimize(f, start(), { ...options, maxEvaluations: 7 })).toMatchObject({
      reason: 'evaluations',
      evaluations: 7,
    });
    expect(minimize(f, start(), { ...options, callback: () => true })).toMatchObject({
      reason: 'aborted',
      iterations: 1,
    });
    expect(minimize(f, start(), { ...options, gradTol: 1 }).reason).toBe('gradient');
    expect(minimize(f, start(), { ...options, funTol: 0.999 }).reason).toBe('function');
    expect(minimize(f, start(), { ...options, stepTol: 10 }).reason).toBe('step');
    expect(minimize(f, Float64Array.of(1, 1), options)).toMatchObject({ reason: 'gradient', iterations: 0 });
  });

  test('a signal and maxTime end a run between products', () => {
    const controller = new AbortController();
    const problem = neurons(40, 30, 1);
    let products = 0;
    const slow = (x: Float64Array, v: Float64Array, out: Float64Array) => {
      if (++products === 3) controller.abort();
      problem.gaussNewton(x, v, out);
    };
    const x0 = new Float64Array(30).fill(1);
    const aborted = minimize(problem.f, x0, { method, gaussNewton: slow, signal: controller.signal });
    expect(aborted).toMatchObject({ reason: 'aborted', x: x0, evaluations: 1 });
    expect(products).toBe(3);
    const late = minimize(problem.f, x0, {
      method,
      maxTime: 1,
      gaussNewton(x, v, out) {
        for (const begin = performance.now(); performance.now() - begin < 2; );
        problem.gaussNewton(x, v, out);
      },
    });
    expect(late).toMatchObject({ reason: 'time', evaluations: 1 });
  });

  test('a sum of terms, with passes', () => {
    const terms = { N: 2, f: (_: number, x: Float64Array, grad: Float64Array) => f(x, grad) / 2 };
    const halved = {
      N: 2,
      f(i: number, x: Float64Array, grad: Float64Array) {
        const value = terms.f(i, x, grad);
        grad[0]! /= 2;
        grad[1]! /= 2;
        return value;
      },
    };
    let passes = 0;
    const sum = minimize(halved, start(), { method, gaussNewton, passes: 9, onPass: () => void passes++ });
    expect(sum).toMatchObject({ evaluations: 18, reason: 'evaluations' });
    expect(passes).toBe(9);
    expect(minimize(halved, start(), { method, gaussNewton }).x).toEqual(
      minimize(f, start(), { method, gaussNewton }).x,
    );
  });

  test('functions may add to what they write', () => {
    const adds = (x: Numbers, v: Numbers, out: Numbers) => {
      const mine = new Float64Array(2);
      gaussNewton(x, v, mine);
      for (let k = 0; k < 2; k++) out[k]! += mine[k]!;
    };
    const plain = minimize(f, start(), { method, gaussNewton });
    expect(minimize(f, start(), { method, gaussNewton: adds })).toEqual(plain);
  });

  test('minimizeAsync gives the same bits, and waits for the functions', async () => {
    const problem = neurons(20, 10, 2);
    const x0 = new Float64Array(10).fill(0.5);
    const options = { method, maxIterations: 6 } as const;
    const { gaussNewton, squaredGradients } = problem;
    const expected = minimize(problem.f, x0, { ...options, gaussNewton, squaredGradients });
    const actual = await minimizeAsync(
      async (x, grad) => {
        await null;
        return problem.f(x, grad);
      },
      x0,
      {
        ...options,
        async gaussNewton(x, v, out) {
          await null;
          problem.gaussNewton(x, v, out);
        },
        async squaredGradients(x, out) {
          await null;
          problem.squaredGradients(x, out);
        },
        async callback() {},
      },
    );
    expect(actual).toEqual(expected);
    const controller = new AbortController();
    const pending = minimizeAsync(problem.f, x0, {
      ...options,
      signal: controller.signal,
      gaussNewton: () => {
        controller.abort(new Error('stop'));
        return new Promise<void>(() => {});
      },
    });
    await expect(pending).rejects.toThrow('stop');
  });
});
