// LBFGS: steps and options.
import { describe, expect, test } from 'vitest';
import * as library from '../../../lib/index.js';
import { Adam, LBFGS } from '../../../lib/index.js';
import { bytes, f32 } from '../../support/arrays.js';
import { type Any, thrown } from '../../support/bad-input.js';
import { rosenbrock } from '../../support/second-order/functions.js';
import { AnyLBFGS, setup } from '../../support/second-order/lbfgs.js';

test('LBFGS and minimize are exported', () => {
  for (const name of ['LBFGS', 'minimize']) expect(library).toHaveProperty(name);
  expect(library.optimizers).not.toHaveProperty('lbfgs');
  expect(LBFGS.optimizerName).toBe('LBFGS');
});

test('every structure of params gives the same bits', () => {
  const one = setup();
  one.lbfgs.step(one.closure);
  const pieces = [f32(-1.2), f32(1)] as const;
  const grads = [f32(0), f32(0)] as const;
  const [x, grad] = [f32(0, 0), f32(0, 0)];
  const closure = () => {
    x.set(pieces[0]);
    x.set(pieces[1], 1);
    const loss = rosenbrock(x, grad);
    grads[0].set(grad.subarray(0, 1));
    grads[1].set(grad.subarray(1));
    return loss;
  };
  for (const [params, given] of [
    [[...pieces], [...grads]],
    [
      { a: pieces[0], 'b.c': { data: pieces[1], shape: [1, 1] } },
      { a: grads[0], 'b.c': grads[1] },
    ],
  ] as const) {
    pieces[0].set([-1.2]);
    pieces[1].set([1]);
    new AnyLBFGS(params, { grads: given }).step(closure);
    expect(bytes(f32(pieces[0][0]!, pieces[1][0]!))).toEqual(bytes(one.x));
  }
  const shaped = f32(-1.2, 1);
  const g = f32(0, 0);
  new LBFGS({ data: shaped, shape: [1, 2] }, { grads: g }).step(() => rosenbrock(shaped, g));
  expect(bytes(shaped)).toEqual(bytes(one.x));
});

test('a gradient that is undefined is refused, by its name', () => {
  expect(thrown(() => new AnyLBFGS([f32(1), f32(2)], { grads: [f32(0), undefined] }))).toMatch(
    /^TypeError: LBFGS: grads\[1\]: undefined, expected a Float32Array/,
  );
  expect(thrown(() => new AnyLBFGS([f32(1), f32(2)], { grads: new Array(2) }))).toMatch(
    /^TypeError: LBFGS: grads\[0\]/,
  );
});

test('a step updates params and gradients in place, and reports them', () => {
  const { x, grads, lbfgs, closure } = setup();
  const result = lbfgs.step(closure);
  expect(Object.keys(result).sort()).toEqual(
    ['applied', 'evaluations', 'gradNorm', 'iterations', 'loss', 'nonFinite', 'reason'].sort(),
  );
  expect(result).toMatchObject({ applied: true, evaluations: closure.mock.calls.length, nonFinite: 0 });
  const grad = f32(0, 0);
  expect(rosenbrock(x, grad)).toBe(result.loss);
  expect(bytes(grads)).toEqual(bytes(grad));
  expect(result.gradNorm).toBeCloseTo(Math.hypot(...grad), 10);
  expect(result.loss).toBeLessThan(24.2);
  expect(lbfgs.stepCount).toBe(1);
});

test('after a step the gradients belong to the params, wherever the last evaluation was', () => {
  for (let maxEvaluations = 1; maxEvaluations < 30; maxEvaluations++) {
    const { x, grads, lbfgs, closure } = setup({ maxEvaluations, maxIterations: 100 });
    let lowest = Number.POSITIVE_INFINITY;
    const { loss, applied } = lbfgs.step(() => {
      const here = closure();
      lowest = Math.min(lowest, here);
      return here;
    });
    expect(loss).toBe(lowest);
    expect(applied).toBe(loss < rosenbrock(f32(-1.2, 1), f32(0, 0)));
    const grad = f32(0, 0);
    expect(rosenbrock(x, grad)).toBe(loss);
    expect(bytes(grads)).toEqual(bytes(grad));
  }
});

test('a pair holds the accepted step, wherever the last evaluation was', () => {
  // No point near a kink satisfies the curvature condition, so the step takes the best point and not the last one.
  let others = 0;
  for (let start = 0.5; start < 6; start += 0.25) {
    const [x, grads] = [f32(start), f32(0)];
    const lbfgs = new LBFGS(x, { grads, maxIterations: 1 });
    let last = 0;
    lbfgs.step(() => {
      last = x[0]!;
      grads[0] = x[0]! < 0.3 ? -1 : 1;
      return Math.abs(x[0]! - 0.3);
    });
    if (last !== x[0]) others++;
    const { oldStps } = (lbfgs.stateDict() as Any).state[0];
    if (oldStps.length > 0) expect(oldStps[0]).toBe(Math.fround(x[0]! - Math.fround(start)));
  }
  expect(others).toBeGreaterThan(0);
});

test('a step is refused while a stepAsync of another optimizer on the same params is pending', async () => {
  const [x, grads] = [library.allocate(2), library.allocate(2)];
  const adam = new Adam(x);
  const lbfgs = new LBFGS(x, { grads });
  const queue = adam.stepAsync(grads);
  expect(thrown(() => lbfgs.step(() => 1))).toBe(
    'TypeError: LBFGS: params: the memory of a step in flight, expected to await the pending stepAsync() first',
  );
  await queue;
  expect(lbfgs.step(() => rosenbrock(x, grads)).applied, 'a step must run once the pending one is done').toBe(true);
});

test('a step continues where the last one ended, with its pairs', () => {
  const { x, lbfgs, closure } = setup();
  let reason = '';
  for (let i = 0; i < 10 && reason !== 'gradient'; i++) reason = lbfgs.step(closure).reason;
  expect([...x]).toEqual([1, 1]);
  const { applied, iterations, evaluations } = lbfgs.step(closure);
  expect({ applied, iterations, evaluations }).toEqual({ applied: false, iterations: 0, evaluations: 1 });
  expect(lbfgs.stepCount).toBeLessThan(10);
});

test('the params may be changed between steps', () => {
  const { x, lbfgs, closure } = setup({ maxIterations: 3 });
  lbfgs.step(closure);
  x.set([2, 2]);
  const start = rosenbrock(x, f32(0, 0));
  expect(lbfgs.step(closure).loss).toBeLessThan(start);
});

describe('options', () => {
  test('maxIterations and maxEvaluations limit a step', () => {
    expect(setup({ maxIterations: 2 }).lbfgs.step).toBeTypeOf('function');
    const two = setup({ maxIterations: 2 });
    expect(two.lbfgs.step(two.closure)).toMatchObject({ iterations: 2, reason: 'iterations' });
    const five = setup({ maxEvaluations: 5, maxIterations: 100 });
    expect(five.lbfgs.step(five.closure)).toMatchObject({ evaluations: 5, reason: 'evaluations' });
    expect(five.closure).toHaveBeenCalledTimes(5);
    const usual = setup();
    expect(usual.lbfgs.step(usual.closure)).toMatchObject({ evaluations: 25, reason: 'evaluations' });
    const all = setup({ maxIterations: 1000, maxEvaluations: Number.POSITIVE_INFINITY });
    expect(['gradient', 'function', 'step']).toContain(all.lbfgs.step(all.closure).reason);
    expect(all.x[0]).toBeCloseTo(1, 6);
  });

  test('gradTol ends a step at a small gradient', () => {
    const { x, lbfgs, closure } = setup({ gradTol: 1, maxIterations: 100 });
    expect(lbfgs.step(closure).reason).toBe('gradient');
    const grad = f32(0, 0);
    rosenbrock(x, grad);
    expect(Math.max(...grad.map(Math.abs))).toBeLessThanOrEqual(1);
  });

  test('stepTol ends a step at a small change of the params, funTol at a small change of the loss', () => {
    const wide = setup({ stepTol: 0.5, funTol: 0.5, maxIterations: 100 });
    expect(['step', 'function']).toContain(wide.lbfgs.step(wide.closure).reason);
    for (const [option, reason] of [
      ['stepTol', 'step'],
      ['funTol', 'function'],
    ]) {
      const one = setup({ stepTol: 0, funTol: 0, [option as string]: 0.5, maxIterations: 100 });
      expect(one.lbfgs.step(one.closure).reason).toBe(reason);
    }
    const exact = setup({ stepTol: 0, funTol: 0, gradTol: 0, maxIterations: 200 });
    expect(exact.lbfgs.step(exact.closure).loss).toBe(0);
  });

  test('lr scales the first trial step, and may be a schedule', () => {
    const first = (lr: unknown) => {
      const { x, lbfgs, closure } = setup({ lr, maxEvaluations: 2 });
      const seen: number[] = [];
      lbfgs.step(() => {
        seen.push(x[0]!);
        return closure();
      });
      return seen[1]! + 1.2;
    };
    expect(first(0.5) / first(1)).toBeCloseTo(0.5, 5);
    const steps: number[] = [];
    const schedule = (step: number) => {
      steps.push(step);
      return step === 1 ? 1 : 0.25;
    };
    expect(first(schedule)).toBe(first(1));
    const { lbfgs, closure } = setup({ lr: schedule, maxIterations: 1 });
    lbfgs.step(closure);
    expect(lbfgs.lr).toBe(0.25);
    expect(steps.slice(-2)).toEqual([1, 2]);
    lbfgs.lr = 0.125;
    expect(lbfgs.lr).toBe(0.125);
  });

  test("lineSearch 'none' takes lr as the step, whatever the loss", () => {
    const { x, lbfgs, closure } = setup({ lineSearch: 'none', lr: 10, maxIterations: 1 });
    const grad = f32(0, 0);
    const before = rosenbrock(x, grad);
    const size = Math.abs(grad[0]!) + Math.abs(grad[1]!);
    const result = lbfgs.step(closure);
    expect(result.loss).toBeGreaterThan(before);
    expect(result).toMatchObject({ evaluations: 2, iterations: 1, applied: true });
    expect(x[0]).toBeCloseTo(-1.2 - (10 * grad[0]!) / size, 4);
  });

  test('historySize limits the number of pairs', () => {
    for (const historySize of [1, 3]) {
      const { lbfgs, closure } = setup({ historySize, maxIterations: 5 });
      lbfgs.step(closure);
      expect((lbfgs.stateDict().state['0'] as Any).oldDirs).toHaveLength(2 * historySize);
    }
  });
});
