// Problems with products of the Gauss-Newton matrix, for the tests of Hessian-free optimization.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { random } from '../random.js';
import type { Numbers } from './problems.js';

/** Residuals at x, and their derivatives, one row for each residual. */
export type Residuals = (x: Numbers) => { readonly r: number[]; readonly J: number[][] };

/** ½·Σrᵢ², with what Hessian-free optimization needs of it. */
export function leastSquares(residuals: Residuals) {
  return {
    residuals,
    f(x: Numbers, grad: Numbers): number {
      const { r, J } = residuals(x);
      for (let k = 0; k < x.length; k++) grad[k] = r.reduce((sum, ri, i) => sum + ri * J[i]![k]!, 0);
      return r.reduce((sum, ri) => sum + ri * ri, 0) / 2;
    },
    gaussNewton(x: Numbers, v: Numbers, out: Numbers): void {
      const { J } = residuals(x);
      const jv = J.map((row) => row.reduce((sum, each, k) => sum + each * v[k]!, 0));
      for (let k = 0; k < x.length; k++) out[k] = J.reduce((sum, row, i) => sum + row[k]! * jv[i]!, 0);
    },
    squaredGradients(x: Numbers, out: Numbers): void {
      const { r, J } = residuals(x);
      for (let k = 0; k < x.length; k++) out[k] = r.reduce((sum, ri, i) => sum + (ri * J[i]![k]!) ** 2, 0);
    },
  };
}

/** Rosenbrock's valley as a sum of squares. */
export const rosenbrockSquares = leastSquares((x) => ({
  r: [Math.sqrt(200) * (x[1]! - x[0]! ** 2), Math.sqrt(2) * (1 - x[0]!)],
  J: [
    [-2 * Math.sqrt(200) * x[0]!, Math.sqrt(200)],
    [-Math.sqrt(2), 0],
  ],
}));

/**
 * Single neurons: rᵢ = tanh(aᵢᵀx) − yᵢ. With twice as many of them as variables, no eigenvalue of G stands alone. One that
 * does makes conjugate gradients amplify the rounding of each step about twentyfold.
 */
export function neurons(count: number, length: number, seed: number) {
  const u = random(seed);
  const inputs = Array.from({ length: count }, () =>
    Array.from({ length }, (_, k) => 0.2 * (1 + 0.3 * Math.sin(k)) * (2 * u() - 1)),
  );
  const targets = inputs.map(() => 1.6 * u() - 0.8);
  return leastSquares((x) => {
    const t = inputs.map((a) => Math.tanh(a.reduce((sum, each, k) => sum + each * x[k]!, 0)));
    return {
      r: t.map((each, i) => each - targets[i]!),
      J: inputs.map((a, i) => a.map((each) => (1 - t[i]! ** 2) * each)),
    };
  });
}

/** Softmax regression of digits of 7 × 7: mean cross-entropy plus decay/2·‖x‖². Its G is its Hessian. */
export function softmaxDigits(each: number, decay = 1e-3) {
  const folder = join(dirname(createRequire(__filename).resolve('mnist/package.json')), 'src', 'digits');
  const classes = Array.from(
    { length: 10 },
    (_, c) => (JSON.parse(readFileSync(join(folder, `${c}.json`), 'utf8')) as { data: number[] }).data,
  );
  const count = 10 * each;
  const images = Array.from({ length: count }, (_, i) => {
    const small = new Float64Array(50).fill(1, 49); // the last input is that of the bias
    for (let p = 0; p < 784; p++)
      small[7 * Math.floor(p / 112) + Math.floor((p % 28) / 4)]! +=
        classes[i % 10]![784 * Math.floor(i / 10) + p]! / 16;
    return small;
  });
  const dot = (x: Numbers, c: number, image: Float64Array) => image.reduce((sum, v, j) => sum + x[50 * c + j]! * v, 0);
  const probabilities = (x: Numbers, image: Float64Array): { p: number[]; logSum: number; z: number[] } => {
    const z = Array.from({ length: 10 }, (_, c) => dot(x, c, image));
    const most = Math.max(...z);
    const logSum = most + Math.log(z.reduce((sum, each) => sum + Math.exp(each - most), 0));
    return { p: z.map((each) => Math.exp(each - logSum)), logSum, z };
  };
  return {
    length: 500,
    f(x: Numbers, grad: Numbers): number {
      let value = 0;
      for (let k = 0; k < 500; k++) {
        grad[k] = decay * x[k]!;
        value += (decay / 2) * x[k]! ** 2;
      }
      for (const [i, image] of images.entries()) {
        const { p, logSum, z } = probabilities(x, image);
        value += (logSum - z[i % 10]!) / count;
        for (let c = 0; c < 10; c++)
          for (let j = 0; j < 50; j++) grad[50 * c + j]! += ((p[c]! - (c === i % 10 ? 1 : 0)) * image[j]!) / count;
      }
      return value;
    },
    gaussNewton(x: Numbers, v: Numbers, out: Numbers): void {
      for (let k = 0; k < 500; k++) out[k] = decay * v[k]!;
      for (const image of images) {
        const { p } = probabilities(x, image);
        const jv = p.map((_, c) => dot(v, c, image));
        const mean = jv.reduce((sum, each, c) => sum + p[c]! * each, 0);
        for (let c = 0; c < 10; c++)
          for (let j = 0; j < 50; j++) out[50 * c + j]! += (p[c]! * (jv[c]! - mean) * image[j]!) / count;
      }
    },
  };
}
