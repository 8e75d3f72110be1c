// minimize: every wrong argument is refused, in the library's error shape.
import { expect, test } from 'vitest';
import { minimize } from '../../../../lib/index.js';
import { f32, f64 } from '../../../support/arrays.js';
import { type Any, detached, notNumbers, thrown } from '../../../support/bad-input.js';
import { bowl } from '../../../support/second-order/functions.js';
import type { Numbers } from '../../../support/second-order/problems.js';

const anyMinimize = minimize as Any;

const at = f64(1, 2);

test('fn must be a function or { N, f }', () => {
  for (const [bad, shown] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [5, '5'],
    ['f', '"f"'],
  ] as const) {
    expect(thrown(() => anyMinimize(bad, at))).toBe(
      `TypeError: minimize: fn: ${shown}, expected a function, (x, grad) => value, or { N, f }`,
    );
  }
  for (const bad of [{}, { N: 3 }, { N: 3, f: 3 }, []]) {
    expect(thrown(() => anyMinimize(bad, at))).toMatch(
      /^TypeError: minimize: fn\.f: .*, expected a function, \(i, x, grad\) => value$/,
    );
  }
  for (const N of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(thrown(() => minimize({ N, f: () => 0 }, at))).toBe(
      `RangeError: minimize: fn.N: ${N}, expected an integer in [1, inf)`,
    );
  }
  expect(thrown(() => anyMinimize({ f: () => 0 }, at))).toBe(
    'TypeError: minimize: fn.N: undefined, expected an integer in [1, inf)',
  );
});

test('fn must return a number', () => {
  const returns = (value: unknown) => thrown(() => anyMinimize(() => value, at));
  for (const [bad, shown] of [[undefined, 'undefined'], ...notNumbers] as const) {
    expect(returns(bad)).toBe(`TypeError: minimize: fn: ${shown}, expected the value, a number`);
  }
  expect(returns(Promise.resolve(1))).toBe(
    'TypeError: minimize: fn: a Promise, expected the value, a number (it must not be async, except in minimizeAsync)',
  );
  const f = (i: number, _: Numbers, grad: Numbers) => {
    grad.fill(0);
    return i < 2 ? 0 : 'x';
  };
  const term = thrown(() => anyMinimize({ N: 3, f }, at));
  expect(term).toBe('TypeError: minimize: fn.f(2): "x", expected the value, a number');
});

test('fn must not detach its gradient', () => {
  const taken = (_: Numbers, grad: Numbers) => {
    structuredClone(grad, { transfer: [grad.buffer as ArrayBuffer] });
    return 1;
  };
  expect(thrown(() => minimize(taken, at))).toBe(
    'RangeError: minimize: grad of fn: length 0, expected 2, as it was given',
  );
  expect(thrown(() => minimize({ N: 2, f: (_, x, grad) => taken(x, grad) }, at))).toBe(
    'RangeError: minimize: grad of fn.f(0): length 0, expected 2, as it was given',
  );
});

test('x0 must be a finite Float32Array or Float64Array', () => {
  const expected = 'expected a Float32Array or a Float64Array';
  for (const [bad, shown] of [
    [undefined, 'undefined'],
    [3, '3'],
    [{}, 'an object'],
    [new Int32Array(2), 'Int32Array(2)'],
    [new DataView(new ArrayBuffer(8)), 'DataView(8)'],
  ] as const) {
    expect(thrown(() => anyMinimize(bowl, bad))).toBe(`TypeError: minimize: x0: ${shown}, ${expected}`);
  }
  expect(thrown(() => anyMinimize(bowl, [1, 2]))).toBe(
    `TypeError: minimize: x0: [1, 2], ${expected} (convert it with Float64Array.from(…))`,
  );
  expect(thrown(() => minimize(bowl, detached()))).toBe(`TypeError: minimize: x0: a detached array, ${expected}`);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(thrown(() => minimize(bowl, f64(0, bad)))).toBe(
      `RangeError: minimize: x0[1]: ${bad}, expected a finite number`,
    );
  }
});

test('options must be an object of known options', () => {
  for (const bad of [null, 5, 'lbfgs', []]) {
    expect(thrown(() => anyMinimize(bowl, at, bad))).toMatch(/^TypeError: minimize: options: .*, expected an object/);
  }
  expect(thrown(() => anyMinimize(bowl, at, { gradtol: 1 }))).toMatch(
    /^TypeError: minimize: gradtol: unknown option, expected gradTol \(it has /,
  );
  // Options of terms and of first-order methods are refused where they do not apply.
  for (const option of ['passes', 'onPass', 'seed', 'lr']) {
    expect(thrown(() => anyMinimize(bowl, at, { [option]: 1 }))).toMatch(
      `TypeError: minimize: ${option}: unknown option`,
    );
  }
  expect(thrown(() => anyMinimize({ N: 1, f: () => 0 }, at, { seed: 1 }))).toMatch('minimize: seed: unknown option');
  expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'adam', passes: 1 }))).toMatch(
    'TypeError: minimize: passes: unknown option',
  );
  expect(
    minimize(bowl, at, { maxIterations: undefined, callback: undefined, signal: undefined }).converged,
    'undefined options must be the defaults',
  ).toBe(true);
});

test("method must be 'lbfgs', 'sfo' or a class that computes in the type of x0", () => {
  expect(thrown(() => anyMinimize(bowl, at, { method: 'lbgfs' }))).toBe(
    'RangeError: minimize: method: "lbgfs", expected "lbfgs"',
  );
  expect(thrown(() => anyMinimize(bowl, at, { method: 'zzzzzzzzzzzz' }))).toMatch(
    /^RangeError: minimize: method: "zzzzzzzzzzzz", expected one of lbfgs, /,
  );
  expect(thrown(() => anyMinimize(bowl, at, { method: 5 }))).toMatch('TypeError: minimize: method: 5, expected one of');
  expect(thrown(() => anyMinimize(bowl, at, { method: 'constructor' }))).toMatch('RangeError: minimize: method');
  expect(thrown(() => anyMinimize(bowl, at, { method: 'adam' }))).toBe(
    'TypeError: minimize: x0: Float64Array(2), expected a Float32Array (method "adam" computes in float32)',
  );
  // The class checks the values of its own options.
  expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'sgd' }))).toMatch(/^TypeError: SGD: lr: undefined/);
  expect(thrown(() => anyMinimize(bowl, f32(1), { method: 'adam', lrr: 1 }))).toMatch(
    'TypeError: minimize: lrr: unknown option, expected lr',
  );
});

test.each(['gradTol', 'funTol', 'stepTol'])('%s must not be negative', (option) => {
  for (const [value, shown] of notNumbers) {
    expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
      `TypeError: minimize: ${option}: ${shown}, expected a number in [0, inf)`,
    );
  }
  for (const value of [-1e-9, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
      `RangeError: minimize: ${option}: ${value}, expected [0, inf)`,
    );
  }
});

test.each(['maxIterations', 'maxEvaluations', 'historySize'])('%s must be an integer of at least 1', (option) => {
  for (const [value, shown] of notNumbers) {
    expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
      `TypeError: minimize: ${option}: ${shown}, expected an integer in [1, inf)`,
    );
  }
  for (const value of [0, -1, 2.5, Number.NaN]) {
    expect(thrown(() => anyMinimize(bowl, at, { [option]: value }))).toBe(
      `RangeError: minimize: ${option}: ${value}, expected an integer in [1, inf)`,
    );
  }
});

test('callback, onPass, signal, passes and seed are checked', () => {
  const terms = { N: 1, f: (_: number, x: Numbers, grad: Numbers) => bowl(x, grad) };
  expect(thrown(() => anyMinimize(terms, at, { callback: 5 }))).toBe(
    'TypeError: minimize: callback: 5, expected a function',
  );
  expect(thrown(() => anyMinimize(terms, at, { onPass: 'x' }))).toBe(
    'TypeError: minimize: onPass: "x", expected a function',
  );
  expect(thrown(() => anyMinimize(terms, at, { signal: { aborted: false } }))).toBe(
    'TypeError: minimize: signal: an object, expected an AbortSignal',
  );
  expect(thrown(() => minimize(terms, at, { passes: 0 }))).toBe(
    'RangeError: minimize: passes: 0, expected an integer in [1, inf)',
  );
  expect(thrown(() => minimize(terms, f32(1), { method: 'sgd', lr: 1, seed: -1 }))).toBe(
    'RangeError: minimize: seed: -1, expected an integer in [0, 4294967296)',
  );
});
