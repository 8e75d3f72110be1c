// LBFGS: a closure that fails leaves the params at the last good point.
import { expect, test } from 'vitest';
import { LBFGS } from '../../../../lib/index.js';
import { f32 } from '../../../support/arrays.js';
import { type Any, detached, notNumbers, thrown } from '../../../support/bad-input.js';
import { rosenbrock } from '../../../support/second-order/functions.js';
import { AnyLBFGS, setup } from '../../../support/second-order/lbfgs.js';

/** A closure that does `what` in place of its `at`-th call, and knows the lowest loss so far. */
function failing(at: number, what: () => unknown) {
  const { x, grads, lbfgs } = setup({ maxIterations: 100, maxEvaluations: 100 });
  const state = { calls: 0, lowest: Number.POSITIVE_INFINITY };
  const closure = (): number => {
    if (++state.calls >= at) return what() as number;
    const loss = rosenbrock(x, grads);
    state.lowest = Math.min(state.lowest, loss);
    return loss;
  };
  return { x, grads, lbfgs, closure, state };
}
const lossAt = (x: Float32Array) => rosenbrock(x, f32(0, 0));

test('it throws: the error itself comes out', () => {
  const error = new Error('mine');
  for (const at of [1, 2, 3, 10, 30]) {
    const { x, lbfgs, closure, state } = failing(at, () => {
      x.fill(99);
      throw error;
    });
    let caught: unknown;
    try {
      lbfgs.step(closure);
    } catch (e) {
      caught = e;
    }
    expect(caught).toBe(error);
    if (at === 1) expect([...x]).toEqual([...f32(-1.2, 1)]);
    else expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
    expect(state.calls).toBe(at);
    // It can go on.
    expect(lbfgs.step(() => rosenbrock(x, setup().grads)).evaluations).toBeGreaterThan(0);
  }
});

test('it returns NaN or an infinity from some call on', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const first = failing(1, () => bad);
    expect(thrown(() => first.lbfgs.step(first.closure))).toBe(
      `RangeError: LBFGS: closure: ${bad}, expected a finite loss`,
    );
    expect([...first.x]).toEqual([...f32(-1.2, 1)]);
    expect(first.lbfgs.stepCount).toBe(0);
    for (const at of [2, 10, 30]) {
      const { x, lbfgs, closure } = failing(at, () => bad);
      const text = thrown(() => lbfgs.step(closure));
      expect(text).toBe(
        'RangeError: LBFGS: closure: a loss or gradient that is not finite all along the line, expected finite ones ' +
          `(the params are at the last good point, where the loss is ${lossAt(x)})`,
      );
      expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
    }
  }
});

test('it fills the gradient with NaN', () => {
  const { x, lbfgs, closure, grads } = failing(1, () => {
    grads.fill(Number.NaN);
    return 1;
  });
  expect(thrown(() => lbfgs.step(closure))).toBe(
    'RangeError: LBFGS: grads: NaN or an infinity, expected finite gradients',
  );
  expect([...x]).toEqual([...f32(-1.2, 1)]);
});

test('one value that is not finite is backed off from, and counted', () => {
  const [x, grads] = [f32(1.5), f32(0)];
  const lbfgs = new LBFGS(x, { grads, maxIterations: 100 });
  const result = lbfgs.step(() => {
    grads[0] = 1 - 0.01 / x[0]!;
    return x[0]! - 0.01 * Math.log(x[0]!);
  });
  expect(result.nonFinite).toBeGreaterThan(0);
  expect(x[0]).toBeCloseTo(0.01, 4);
});

test('it puts a gradient of another length, or what is none, in place of its own', () => {
  for (const [bad, text] of [
    [f32(1), 'RangeError: LBFGS: grads["w"]: length 1, expected 2 ("w")'],
    [detached(), 'TypeError: LBFGS: grads["w"]: a detached Float32Array, expected a Float32Array'],
    [null, 'TypeError: LBFGS: grads["w"]: null, expected a Float32Array (leave out params that should not change)'],
    [undefined, 'TypeError: LBFGS: grads["w"]: undefined, expected'],
    [[1, 2], 'TypeError: LBFGS: grads["w"]: [1, 2], expected a Float32Array'],
  ] as const) {
    for (const at of [1, 4]) {
      const w = f32(-1.2, 1);
      const grads: Record<string, unknown> = { w: f32(0, 0) };
      const lbfgs = new AnyLBFGS({ w }, { grads }) as LBFGS;
      let calls = 0;
      const good = grads['w'] as Float32Array;
      const closure = () => {
        const loss = rosenbrock(w, good);
        if (++calls === at) grads['w'] = bad;
        return loss;
      };
      expect(thrown(() => lbfgs.step(closure))).toMatch(text);
      if (at === 1) expect([...w]).toEqual([...f32(-1.2, 1)]);
      else expect(lossAt(w)).toBeLessThan(lossAt(f32(-1.2, 1)));
      grads['w'] = good;
      expect(lbfgs.step(closure).applied).toBe(true);
    }
  }
});

test('another array of the right length is taken', () => {
  const w = f32(-1.2, 1);
  const grads = { w: f32(0, 0) };
  const lbfgs = new LBFGS({ w }, { grads, maxIterations: 100 });
  lbfgs.step(() => {
    grads.w = f32(0, 0);
    return rosenbrock(w, grads.w);
  });
  expect(w[0]).toBeCloseTo(1, 6);
});

test('it returns what is no number', () => {
  for (const [bad, shown] of [[undefined, 'undefined'], ...notNumbers] as const) {
    const { x, lbfgs, closure } = failing(3, () => bad);
    expect(thrown(() => lbfgs.step(closure))).toBe(`TypeError: LBFGS: closure: ${shown}, expected the loss, a number`);
    expect(lossAt(x)).toBeLessThanOrEqual(lossAt(f32(-1.2, 1)));
  }
  const { lbfgs } = setup();
  expect(thrown(() => lbfgs.step((async () => 1) as Any))).toBe(
    'TypeError: LBFGS: closure: a Promise, expected the loss, a number (it must not be async)',
  );
});

test('it calls the optimizer', () => {
  const { lbfgs, closure, x } = setup();
  for (const call of [
    () => lbfgs.step(closure),
    () => lbfgs.stateDict(),
    () => lbfgs.dispose(),
    () => void (lbfgs.lr = 1),
    () => lbfgs.loadStateDict({} as Any),
  ]) {
    const inside = () => {
      call();
      return 0;
    };
    expect(thrown(() => lbfgs.step(inside))).toBe(
      'TypeError: LBFGS: this: an optimizer in the middle of a call, expected to wait until that call has returned',
    );
    expect([...x]).toEqual([...f32(-1.2, 1)]);
  }
});

test('it takes the memory of a param away', () => {
  const { lbfgs, x, grads } = setup();
  const closure = () => {
    const loss = rosenbrock(x, grads);
    structuredClone(x, { transfer: [x.buffer as ArrayBuffer] });
    return loss;
  };
  expect(thrown(() => lbfgs.step(closure))).toMatch(
    'TypeError: LBFGS: params: a detached Float32Array, expected length 2',
  );
  expect(thrown(() => lbfgs.step(closure))).toMatch('TypeError: LBFGS: params: a detached Float32Array');
});
