// gaussNewtonProduct: Jᵀ·H·J·v from the user's parts.
import { expect, test } from 'vitest';
import { gaussNewtonProduct, minimize, minimizeAsync } from '../../../../lib/index.js';
import { type Any, thrown } from '../../../support/bad-input.js';
import { random } from '../../../support/random.js';
import { rosenbrockSquares } from '../../../support/second-order/gauss-newton.js';

const u = random(4);
const [outputs, length] = [5, 3];
const J = Array.from({ length: outputs }, () => Array.from({ length }, () => 2 * u() - 1));
const H = Array.from({ length: outputs }, (_, i) => Array.from({ length: outputs }, (_, j) => 1 / (1 + i + j)));
const times = (matrix: readonly number[][], v: ArrayLike<number>) =>
  matrix.map((row) => row.reduce((sum, each, k) => sum + each * v[k]!, 0));
const transposed = J[0]!.map((_, k) => J.map((row) => row[k]!));
const jvp = (_x: Float64Array, v: Float64Array, jv: Float64Array) => jv.set(times(J, v));
const vjp = (_x: Float64Array, w: Float64Array, out: Float64Array) => out.set(times(transposed, w));
const lossHessian = (_x: Float64Array, w: Float64Array) => w.set(times(H, w));

test('multiplies by the transposed Jacobian, the Hessian of the loss and the Jacobian', () => {
  const [x, v] = [new Float64Array(length), Float64Array.of(1, -2, 0.5)];
  const out = new Float64Array(length);
  gaussNewtonProduct({ outputs, jvp, vjp })(x, v, out);
  expect([...out]).toEqual(times(transposed, times(J, v)));
  gaussNewtonProduct({ outputs, jvp, vjp, lossHessian })(x, v, out);
  expect([...out]).toEqual(times(transposed, times(H, times(J, v))));
});

test('jvp may add to what it finds, and must write every element', () => {
  const [x, v, out] = [new Float64Array(length), Float64Array.of(1, -2, 0.5), new Float64Array(length)];
  const adds = gaussNewtonProduct({
    outputs,
    vjp,
    jvp(_x: Float64Array, w: Float64Array, jv) {
      for (const [i, each] of times(J, w).entries()) jv[i]! += each;
    },
  });
  for (let i = 0; i < 2; i++) {
    adds(x, v, out);
    expect([...out]).toEqual(times(transposed, times(J, v)));
  }
  const forgets = gaussNewtonProduct({ outputs, vjp, jvp: (_x: Float64Array, _v, jv) => void jv.fill(1, 1) });
  expect(thrown(() => forgets(x, v, out))).toMatch(/^TypeError: gaussNewtonProduct: jv\[0\] of jvp: not written/);
});

test('solves with minimize, and with promises in minimizeAsync alone', async () => {
  const { residuals, f } = rosenbrockSquares;
  const parts = {
    outputs: 2,
    jvp: (x: Float64Array, v: Float64Array, jv: Float64Array) => jv.set(times(residuals(x).J, v)),
    vjp: (x: Float64Array, w: Float64Array, out: Float64Array) => {
      const { J } = residuals(x);
      for (let k = 0; k < 2; k++) out[k] = J[0]![k]! * w[0]! + J[1]![k]! * w[1]!;
    },
  };
  const x0 = Float64Array.of(-1.2, 1);
  const expected = minimize(f, x0, { method: 'hessian-free', gaussNewton: gaussNewtonProduct(parts) });
  expect(expected.reason).toBe('gradient');
  const later = gaussNewtonProduct({
    outputs: 2,
    async jvp(x: Float64Array, v: Float64Array, jv) {
      await null;
      parts.jvp(x, v, jv);
    },
    async lossHessian() {},
    async vjp(x, w, out) {
      await null;
      parts.vjp(x, w, out);
    },
  });
  expect(await minimizeAsync(f, x0, { method: 'hessian-free', gaussNewton: later })).toEqual(expected);
  expect(thrown(() => minimize(f, x0, { method: 'hessian-free', gaussNewton: later as Any }))).toMatch(
    /^TypeError: minimize: gaussNewton: a Promise/,
  );
  const failing = gaussNewtonProduct({
    outputs: 2,
    jvp: async () => {},
    vjp: async () => Promise.reject(new Error('mine')),
  });
  await expect(failing(x0, x0, x0)).rejects.toThrow(/jv\[0\] of jvp: not written|mine/);
});

test('bad parts', () => {
  const make = gaussNewtonProduct as Any;
  for (const [bad, text] of [
    [undefined, /^TypeError: gaussNewtonProduct: options: undefined/],
    [{ jvp, vjp }, /^TypeError: gaussNewtonProduct: outputs: undefined, expected an integer/],
    [{ outputs: 0, jvp, vjp }, /^RangeError: gaussNewtonProduct: outputs: 0/],
    [{ outputs, vjp }, /^TypeError: gaussNewtonProduct: jvp: undefined, expected a function/],
    [{ outputs, jvp, vjp: 1 }, /^TypeError: gaussNewtonProduct: vjp: 1, expected a function/],
    [{ outputs, jvp, vjp, lossHessian: 1 }, /^TypeError: gaussNewtonProduct: lossHessian: 1/],
    [{ outputs, jvp, vjp, hessian: 1 }, /^TypeError: gaussNewtonProduct: hessian: unknown option/],
  ] as const)
    expect(thrown(() => make(bad))).toMatch(text);
});
