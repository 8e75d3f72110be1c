// LBFGS: every wrong argument is refused, in the library's error shape.
import { expect, test } from 'vitest';
import { LBFGS } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import { type Any, notNumbers, thrown } from '../../../support/bad-input.js';
import { AnyLBFGS, setup } from '../../../support/second-order/lbfgs.js';

const make = (options: object) => () => new AnyLBFGS(f32(1, 2), { grads: f32(0, 0), ...options });

test('params must be a Float32Array, { data, shape }, or a list or record of them', () => {
  const allowed = 'a Float32Array, { data, shape }, a list or a record of them';
  expect(thrown(() => new AnyLBFGS(undefined, { grads: f32(1) }))).toBe(
    `TypeError: LBFGS: params: undefined, expected ${allowed}`,
  );
  expect(thrown(() => new AnyLBFGS(f64(1), { grads: f64(1) }))).toMatch(/^TypeError: LBFGS: params: Float64Array\(1\)/);
  for (const groups of [[{ params: f32(1) }], { params: f32(1), lr: 1 }, [{ params: f32(1) }, { params: f32(1) }]]) {
    expect(thrown(() => new AnyLBFGS(groups, { grads: f32(1) }))).toBe(
      `TypeError: LBFGS: params: param groups, expected ${allowed}`,
    );
  }
  const both = f32(1, 2, 3);
  expect(thrown(() => new AnyLBFGS([both.subarray(0, 2), both.subarray(1)], { grads: [f32(0, 0), f32(0, 0)] }))).toBe(
    'RangeError: LBFGS: params[1]: memory shared with params[0], expected separate memory',
  );
});

test('grads must fit the params', () => {
  expect(thrown(() => new AnyLBFGS(f32(1)))).toMatch(/^TypeError: LBFGS: options: undefined, expected an object/);
  expect(thrown(() => new AnyLBFGS(f32(1), {}))).toBe(
    'TypeError: LBFGS: grads: undefined, expected the gradients that the closure fills',
  );
  expect(thrown(() => new AnyLBFGS(f32(1), { grads: f32(1, 2) }))).toBe(
    'RangeError: LBFGS: grads: length 2, expected 1',
  );
  expect(thrown(() => new AnyLBFGS([f32(1), f32(2)], { grads: [f32(1)] }))).toBe(
    'RangeError: LBFGS: grads: 1 gradient(s), expected 2',
  );
  expect(thrown(() => new AnyLBFGS({ w: f32(1) }, { grads: { v: f32(1) } }))).toMatch(
    /^TypeError: LBFGS: grads\["w"\]: undefined/,
  );
  expect(thrown(() => new AnyLBFGS(f32(1), { grads: f64(1) }))).toMatch(/^TypeError: LBFGS: grads: Float64Array\(1\)/);
  expect(thrown(() => new AnyLBFGS(f32(1), { grads: { rows: new Int32Array(1), values: f32(1) } }))).toMatch(
    /^TypeError: LBFGS: grads: an object, expected a Float32Array/,
  );
  const w = f32(1, 2);
  expect(thrown(() => new LBFGS(w, { grads: w }))).toBe(
    'RangeError: LBFGS: grads: memory shared with params, expected separate memory',
  );
});

test('unknown options are refused', () => {
  expect(thrown(make({ histroySize: 3 }))).toMatch(
    'TypeError: LBFGS: histroySize: unknown option, expected historySize',
  );
  expect(thrown(make({ weightDecay: 3 }))).toMatch('TypeError: LBFGS: weightDecay: unknown option');
});

test.each(['historySize', 'maxIterations', 'maxEvaluations'])('%s must be an integer of at least 1', (option) => {
  for (const [value, shown] of notNumbers)
    expect(thrown(make({ [option]: value }))).toBe(
      `TypeError: LBFGS: ${option}: ${shown}, expected an integer in [1, inf)`,
    );
  for (const value of [0, -1, 2.5, Number.NaN])
    expect(thrown(make({ [option]: value }))).toBe(
      `RangeError: LBFGS: ${option}: ${value}, expected an integer in [1, inf)`,
    );
});

test.each(['gradTol', 'funTol', 'stepTol'])('%s must not be negative', (option) => {
  for (const [value, shown] of notNumbers)
    expect(thrown(make({ [option]: value }))).toBe(
      `TypeError: LBFGS: ${option}: ${shown}, expected a number in [0, inf)`,
    );
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(thrown(make({ [option]: value }))).toBe(`RangeError: LBFGS: ${option}: ${value}, expected [0, inf)`);
});

test('lr must be positive, and so must the values of its schedule', () => {
  for (const [value, shown] of notNumbers)
    expect(thrown(make({ lr: value }))).toBe(`TypeError: LBFGS: lr: ${shown}, expected a number in (0, inf)`);
  for (const value of [0, -1, Number.NaN])
    expect(thrown(make({ lr: value }))).toBe(`RangeError: LBFGS: lr: ${value}, expected (0, inf)`);
  const { lbfgs, closure, x } = setup();
  expect(thrown(() => void (lbfgs.lr = 0))).toBe('RangeError: LBFGS: lr: 0, expected (0, inf)');
  expect(lbfgs.lr).toBe(1);
  lbfgs.lr = () => Number.NaN;
  expect(thrown(() => lbfgs.step(closure))).toBe(
    'RangeError: LBFGS: lr: NaN, expected (0, inf) (from its schedule at step 1)',
  );
  lbfgs.lr = (() => '1') as Any;
  expect(thrown(() => lbfgs.step(closure))).toBe(
    'TypeError: LBFGS: lr: "1", expected (0, inf) (from its schedule at step 1)',
  );
  lbfgs.lr = (() => lbfgs.step(closure)) as Any;
  expect(thrown(() => lbfgs.step(closure))).toMatch('in the middle of a call');
  expect([...x]).toEqual([...f32(-1.2, 1)]);
});

test('lineSearch must be one of its choices', () => {
  expect(thrown(make({ lineSearch: 'wolfe' }))).toBe(
    'RangeError: LBFGS: lineSearch: "wolfe", expected "strong-wolfe" or "none"',
  );
  expect(thrown(make({ lineSearch: true }))).toBe(
    'TypeError: LBFGS: lineSearch: true, expected "strong-wolfe" or "none"',
  );
});

test('closure must be a function', () => {
  const { lbfgs } = setup();
  for (const [bad, shown] of [
    [undefined, 'undefined'],
    [f32(1), 'Float32Array(1)'],
    [5, '5'],
  ] as const)
    expect(thrown(() => lbfgs.step(bad as Any))).toBe(
      `TypeError: LBFGS: closure: ${shown}, expected a function, () => loss`,
    );
});
