// HessianFree and minimize({ method: 'hessian-free' }): arguments that are refused, before anything has changed.
import { expect, test } from 'vitest';
import { minimize } from '../../../../lib/index.js';
import { bytes, f32 } from '../../../support/arrays.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { rosenbrockSquares } from '../../../support/second-order/gauss-newton.js';
import { AnyHessianFree, setup } from '../../../support/second-order/hessian-free.js';

const { f, gaussNewton } = rosenbrockSquares;
const x0 = () => Float64Array.of(-1.2, 1);

const options: readonly (readonly [object, RegExp])[] = [
  [{ gaussNewton: undefined }, /^TypeError: \w+: gaussNewton: undefined, expected a function/],
  [{ gaussNewton: 1 }, /^TypeError: \w+: gaussNewton: 1, expected a function/],
  [{ squaredGradients: true }, /^TypeError: \w+: squaredGradients: true, expected a function/],
  [{ damping: '1' }, /^TypeError: \w+: damping: "1", expected a number in \[0, inf\)/],
  [{ damping: -1 }, /^RangeError: \w+: damping: -1, expected \[0, inf\)/],
  [{ damping: Number.POSITIVE_INFINITY }, /^RangeError: \w+: damping: Infinity/],
  [{ cgDecay: 1.5 }, /^RangeError: \w+: cgDecay: 1\.5, expected \[0, 1\]/],
  [{ cgTol: Number.NaN }, /^RangeError: \w+: cgTol: NaN, expected \[0, inf\)/],
  [{ maxCgIterations: 0 }, /^RangeError: \w+: maxCgIterations: 0, expected an integer in \[1, inf\)/],
  [{ maxCgIterations: 2.5 }, /^RangeError: \w+: maxCgIterations: 2\.5/],
  [{ maxIterations: 0 }, /^RangeError: \w+: maxIterations: 0/],
  [{ gradTol: -1 }, /^RangeError: \w+: gradTol: -1/],
  [{ historySize: 5 }, /^TypeError: \w+: historySize: unknown option/],
  [{ dampling: 5 }, /^TypeError: \w+: dampling: unknown option, expected damping/],
];

test.each(options)('%j', (bad, text) => {
  expect(thrown(() => new AnyHessianFree(f32(1, 2), { grads: f32(0, 0), gaussNewton, ...bad }))).toMatch(text);
  expect(thrown(() => (minimize as Any)(f, x0(), { method: 'hessian-free', gaussNewton, ...bad }))).toMatch(text);
});

test("a method by SciPy's name", () => {
  for (const [given, meant] of [
    ['Newton-CG', 'hessian-free'],
    ['trust-ncg', 'hessian-free'],
    ['trust-krylov', 'hessian-free'],
    ['hessianFree', 'hessian-free'],
    ['L-BFGS-B', 'lbfgs'],
    ['BFGS', 'lbfgs'],
  ])
    expect(thrown(() => (minimize as Any)(f, x0(), { method: given, gaussNewton }))).toBe(
      `RangeError: minimize: method: "${given}", expected "${meant}"`,
    );
});

test('params and gradients', () => {
  const x = f32(1, 2);
  for (const [params, grads, text] of [
    [[{ params: x }], x.slice(), /^TypeError: HessianFree: params: param groups/],
    [x, undefined, /^TypeError: HessianFree: grads: undefined/],
    [x, f32(1), /^RangeError: HessianFree: grads: length 1, expected 2/],
    [x, x, /^RangeError: HessianFree: grads: /],
    [x, null, /^TypeError: HessianFree: grads: null/],
    [Float64Array.of(1), f32(0), /^TypeError: HessianFree: params: .*Float32Array/],
  ] as const)
    expect(thrown(() => new AnyHessianFree(params, { grads, gaussNewton }))).toMatch(text);
});

test('the closure', () => {
  const { x, hf, grads } = setup();
  for (const [closure, text] of [
    [undefined, /^TypeError: HessianFree: closure: undefined, expected a function/],
    [() => '1', /^TypeError: HessianFree: closure: "1", expected the loss, a number/],
    [async () => 1, /^TypeError: HessianFree: closure: a Promise, .*must not be async/],
    [() => grads.fill(Number.NaN) && 1, /^RangeError: HessianFree: grads: NaN or an infinity/],
  ] as const) {
    expect(thrown(() => hf.step(closure as Any))).toMatch(text);
    expect(bytes(x)).toEqual(bytes(f32(-1.2, 1)));
  }
});

test('what the functions write', () => {
  const half = (_x: Any, _v: Any, out: Any) => void (out[0] = 1);
  const run = (more: object) =>
    thrown(() => (minimize as Any)(f, x0(), { method: 'hessian-free', gaussNewton, ...more }));
  const step = (more: object) => {
    const { hf, closure, x } = setup(more);
    const error = thrown(() => hf.step(closure));
    expect(bytes(x)).toEqual(bytes(f32(-1.2, 1)));
    return error;
  };
  expect(run({ gaussNewton: half })).toMatch(
    /^TypeError: minimize: out\[1\] of gaussNewton: not written, expected a number/,
  );
  expect(step({ gaussNewton: half })).toMatch(/^TypeError: HessianFree: out\[1\] of gaussNewton: not written/);
  const halfOfSquares = (_x: Any, out: Any) => void (out[1] = 1);
  expect(run({ squaredGradients: halfOfSquares })).toMatch(
    /^TypeError: minimize: out\[0\] of squaredGradients: not written/,
  );
  expect(step({ squaredGradients: halfOfSquares })).toMatch(/^TypeError: HessianFree: out\[0\] of squaredGradients/);
  const negative = (_x: Any, out: Any) => void out.set([1, -1]);
  expect(run({ squaredGradients: negative })).toMatch(
    /^RangeError: minimize: out\[1\] of squaredGradients: -1, expected a sum of squares/,
  );
  expect(step({ squaredGradients: negative })).toMatch(/^RangeError: HessianFree: out\[1\] of squaredGradients: -1/);
  const promised = async (x: Any, v: Any, out: Any) => gaussNewton(x, v, out);
  expect(run({ gaussNewton: promised })).toMatch(
    /^TypeError: minimize: gaussNewton: a Promise, .*except in minimizeAsync/,
  );
  expect(step({ gaussNewton: promised })).toMatch(
    /^TypeError: HessianFree: gaussNewton: a Promise, .*must not be async/,
  );
  const detaching = (_x: Any, _v: Any, out: Any) => {
    out.fill(1);
    structuredClone(out.buffer, { transfer: [out.buffer] });
  };
  expect(run({ gaussNewton: detaching })).toMatch(/^RangeError: minimize: out of gaussNewton: length 0, expected 2/);
  expect(step({ gaussNewton: detaching })).toMatch(
    /^RangeError: HessianFree: out of gaussNewton: length 0, expected 2/,
  );
});
