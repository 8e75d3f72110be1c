// Sums of functions with N = 30 terms, on which SFO is compared with other methods. scripts/sfo-curves.ts and
// test/second-order/sfo/golden.test.ts share them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { random } from '../random.js';
import type { Numbers } from './problems.js';

/** A sum of functions, as `minimize` takes it, and where to begin. */
export interface Sum {
  readonly N: number;
  readonly f: (i: number, x: Numbers, grad: Numbers) => number;
  readonly start: Float64Array;
}

/** ∑ values of the terms, and the gradient of that. */
export function total({ N, f }: Sum, x: Numbers, grad: Float64Array = new Float64Array(x.length)): number {
  const one = new Float64Array(x.length);
  let value = 0;
  grad.fill(0);
  for (let i = 0; i < N; i++) {
    one.fill(0);
    value += f(i, x, one);
    for (let k = 0; k < x.length; k++) grad[k]! += one[k]!;
  }
  return value;
}

const folder = join(dirname(createRequire(__filename).resolve('mnist/package.json')), 'src', 'digits');

/** `each` images of every digit, 784 numbers in [0, 1]; image i shows i mod 10. */
function images(each: number): Float64Array[] {
  const classes = Array.from(
    { length: 10 },
    (_, c) => (JSON.parse(readFileSync(join(folder, `${c}.json`), 'utf8')) as { data: number[] }).data,
  );
  return Array.from({ length: 10 * each }, (_, i) => {
    const begin = 784 * Math.floor(i / 10);
    return Float64Array.from(classes[i % 10]!.slice(begin, begin + 784));
  });
}

/** fᵢ = ½·(x − mᵢ)ᵀAᵢ(x − mᵢ), diagonal Aᵢ, the `curvatures`; the sum is least at ΣAᵢmᵢ / ΣAᵢ, the `solution`. */
export function quadratics(
  N: number,
  length: number,
  seed = 1,
): Sum & { readonly solution: Float64Array; readonly curvatures: readonly Float64Array[] } {
  const u = random(seed);
  const A = Array.from({ length: N }, () => Float64Array.from({ length }, () => 0.5 + 4 * u()));
  const m = Array.from({ length: N }, () => Float64Array.from({ length }, () => 2 * u() - 1));
  const solution = new Float64Array(length).map((_, k) => {
    const sum = (value: (i: number) => number) => A.reduce((s, _row, i) => s + value(i), 0);
    return sum((i) => A[i]![k]! * m[i]![k]!) / sum((i) => A[i]![k]!);
  });
  return {
    N,
    solution,
    curvatures: A,
    start: new Float64Array(length).fill(2),
    f(i, x, grad) {
      let value = 0;
      for (let k = 0; k < length; k++) {
        const away = x[k]! - m[i]![k]!;
        grad[k] = A[i]![k]! * away;
        value += (A[i]![k]! * away * away) / 2;
      }
      return value;
    },
  };
}

/** Softmax regression: mean cross-entropy of a minibatch of 20 digits, plus 0.001/2·‖x‖². */
export function softmax(): Sum {
  const all = images(60);
  const N = 30;
  const decay = 1e-3;
  const inks = all.map((image) => Array.from(image.keys()).filter((j) => image[j] !== 0));
  const z = new Float64Array(10);
  return {
    N,
    start: new Float64Array(7850),
    f(i, x, grad) {
      let value = 0;
      for (let k = 0; k < 7850; k++) {
        value += (decay / 2) * x[k]! ** 2;
        grad[k] = decay * x[k]!;
      }
      const size = all.length / N;
      for (let n = i * size; n < (i + 1) * size; n++) {
        const image = all[n]!;
        for (let c = 0; c < 10; c++) {
          let sum = x[7840 + c]!;
          for (const j of inks[n]!) sum += x[784 * c + j]! * image[j]!;
          z[c] = sum;
        }
        const most = Math.max(...z);
        const logSum = most + Math.log(z.reduce((sum, v) => sum + Math.exp(v - most), 0));
        value += (logSum - z[n % 10]!) / size;
        for (let c = 0; c < 10; c++) {
          const error = (Math.exp(z[c]! - logSum) - (c === n % 10 ? 1 : 0)) / size;
          for (const j of inks[n]!) grad[784 * c + j]! += error * image[j]!;
          grad[7840 + c]! += error;
        }
      }
      return value;
    },
  };
}

/**
 * The authors' demonstration on digits of 14 × 14: a sigmoid autoencoder with tied weights and 16 hidden units, the mean
 * squared distance of a minibatch of 20 digits.
 */
export function autoencoder(): Sum {
  const [visible, hidden, N] = [196, 16, 30];
  const small = images(60).map((image) =>
    Float64Array.from({ length: visible }, (_, k) => {
      const at = 56 * Math.floor(k / 14) + 2 * (k % 14);
      return (image[at]! + image[at + 1]! + image[at + 28]! + image[at + 29]!) / 4;
    }),
  );
  const u = random(2);
  const weights = visible * hidden;
  const start = new Float64Array(weights + hidden + visible);
  for (let k = 0; k < weights; k++) start[k] = (2 * u() - 1) / Math.sqrt(visible);
  const [h, error, back] = [new Float64Array(hidden), new Float64Array(visible), new Float64Array(hidden)];
  return {
    N,
    start,
    f(i, x, grad) {
      const size = small.length / N;
      let value = 0;
      grad.fill(0);
      for (let n = i * size; n < (i + 1) * size; n++) {
        const v = small[n]!;
        for (let k = 0; k < visible; k++) error[k] = x[weights + hidden + k]! - v[k]!;
        for (let j = 0; j < hidden; j++) {
          let sum = x[weights + j]!;
          for (let k = 0; k < visible; k++) sum += x[j * visible + k]! * v[k]!;
          h[j] = 1 / (1 + Math.exp(-sum));
          for (let k = 0; k < visible; k++) error[k]! += x[j * visible + k]! * h[j]!;
        }
        for (let k = 0; k < visible; k++) {
          value += error[k]! ** 2 / size;
          error[k]! *= 2 / size;
          grad[weights + hidden + k]! += error[k]!;
        }
        for (let j = 0; j < hidden; j++) {
          let sum = 0;
          for (let k = 0; k < visible; k++) sum += x[j * visible + k]! * error[k]!;
          back[j] = sum * h[j]! * (1 - h[j]!);
          for (let k = 0; k < visible; k++) grad[j * visible + k]! += h[j]! * error[k]! + back[j]! * v[k]!;
          grad[weights + j]! += back[j]!;
        }
      }
      return value;
    },
  };
}
