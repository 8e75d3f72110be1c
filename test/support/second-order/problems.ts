// The standard problems of unconstrained minimisation, as lbfgsb.py has them: Moré, Garbow & Hillstrom, Testing
// Unconstrained Optimization Software, ACM TOMS 7 (1981), and three of our own.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { random } from '../random.js';

/** Any array of numbers: the functions compute in float64 whatever they are given. */
export type Numbers = Float32Array | Float64Array;

/** A function that returns its value at x and writes its gradient there. */
export type Objective = (x: Numbers, grad: Numbers) => number;

export interface Problem {
  readonly f: Objective;
  readonly start: Float64Array;
}

/** A sum of squares, from m residuals: each one, and its derivatives in x. */
function residuals(m: number, residual: (x: Numbers, i: number, derivatives: Float64Array) => number): Objective {
  return (x, grad) => {
    const derivatives = new Float64Array(x.length);
    const sum = new Float64Array(x.length);
    let value = 0;
    for (let i = 0; i < m; i++) {
      const r = residual(x, i, derivatives);
      value += r * r;
      for (let j = 0; j < x.length; j++) sum[j]! += 2 * r * derivatives[j]!;
    }
    grad.set(sum);
    return value;
  };
}

/** A sum of terms that touch a few neighbours each: `term` adds to the gradient. */
function terms(count: (n: number) => number, term: (x: Numbers, i: number, sum: Float64Array) => number): Objective {
  return (x, grad) => {
    const sum = new Float64Array(x.length);
    let value = 0;
    for (let i = 0; i < count(x.length); i++) value += term(x, i, sum);
    grad.set(sum);
    return value;
  };
}

function rosenbrockTerm(x: Numbers, i: number, sum: Float64Array): number {
  const [a, b] = [x[i]!, x[i + 1]!];
  const t = b - a * a;
  sum[i]! += -400 * a * t - 2 * (1 - a);
  sum[i + 1]! += 200 * t;
  return 100 * t * t + (1 - a) ** 2;
}

const rosenbrockChained = terms((n) => n - 1, rosenbrockTerm);
const rosenbrockExtended = terms(
  (n) => n / 2,
  (x, i, sum) => rosenbrockTerm(x, 2 * i, sum),
);

const beale = residuals(3, (x, i, derivatives) => {
  const [a, b] = [x[0]!, x[1]!];
  derivatives[0] = b ** (i + 1) - 1;
  derivatives[1] = a * (i + 1) * b ** i;
  return [1.5, 2.25, 2.625][i]! - a * (1 - b ** (i + 1));
});

const powellSingular = terms(
  (n) => n / 4,
  (x, i, sum) => {
    const [a, b, c, d] = x.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    const [p, q, r, s] = [a + 10 * b, c - d, b - 2 * c, a - d];
    sum[4 * i]! += 2 * p + 40 * s ** 3;
    sum[4 * i + 1]! += 20 * p + 4 * r ** 3;
    sum[4 * i + 2]! += 10 * q - 8 * r ** 3;
    sum[4 * i + 3]! += -10 * q - 40 * s ** 3;
    return p ** 2 + 5 * q ** 2 + r ** 4 + 10 * s ** 4;
  },
);

const wood: Objective = (x, grad) => {
  const [a, b, c, d] = x as unknown as [number, number, number, number];
  grad.set([
    -400 * a * (b - a * a) - 2 * (1 - a),
    200 * (b - a * a) + 20 * (b + d - 2) + 0.2 * (b - d),
    -360 * c * (d - c * c) - 2 * (1 - c),
    180 * (d - c * c) + 20 * (b + d - 2) - 0.2 * (b - d),
  ]);
  return (
    100 * (b - a * a) ** 2 +
    (1 - a) ** 2 +
    90 * (d - c * c) ** 2 +
    (1 - c) ** 2 +
    10 * (b + d - 2) ** 2 +
    0.1 * (b - d) ** 2
  );
};

const brownBadlyScaled = residuals(3, (x, i, derivatives) => {
  const [a, b] = [x[0]!, x[1]!];
  derivatives.set([[1, 0] as const, [0, 1] as const, [b, a] as const][i]!);
  return [a - 1e6, b - 2e-6, a * b - 2][i]!;
});

const helicalValley: Objective = (x, grad) => {
  const [a, b, c] = x as unknown as [number, number, number];
  // The angle in turns, in [-1/4, 3/4).
  const theta = a === 0 ? (b >= 0 ? 0.25 : -0.25) : Math.atan(b / a) / (2 * Math.PI) + (a < 0 ? 0.5 : 0);
  const rho = Math.hypot(a, b);
  const [u, v] = [c - 10 * theta, rho - 1];
  const d = 2 * Math.PI * rho * rho;
  grad.set([200 * ((10 * u * b) / d + (v * a) / rho), 200 * ((-10 * u * a) / d + (v * b) / rho), 200 * u + 2 * c]);
  return 100 * (u * u + v * v) + c * c;
};

const box3d = residuals(10, (x, i, derivatives) => {
  const t = 0.1 * (i + 1);
  const [a, b] = [Math.exp(-t * x[0]!), Math.exp(-t * x[1]!)];
  const c = Math.exp(-t) - Math.exp(-10 * t);
  derivatives.set([-t * a, t * b, -c]);
  return a - b - x[2]! * c;
});

const biggsExp6 = residuals(13, (x, i, derivatives) => {
  const t = 0.1 * (i + 1);
  const y = Math.exp(-t) - 5 * Math.exp(-10 * t) + 3 * Math.exp(-4 * t);
  const [a, b, c] = [Math.exp(-t * x[0]!), Math.exp(-t * x[1]!), Math.exp(-t * x[4]!)];
  derivatives.set([-t * x[2]! * a, t * x[3]! * b, a, -b, -t * x[5]! * c, c]);
  return x[2]! * a - x[3]! * b + x[5]! * c - y;
});

const variablyDimensioned: Objective = (x, grad) => {
  let [t, squares] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    t += (i + 1) * (x[i]! - 1);
    squares += (x[i]! - 1) ** 2;
  }
  for (let i = 0; i < x.length; i++) grad[i] = 2 * (x[i]! - 1) + (2 * t + 4 * t ** 3) * (i + 1);
  return squares + t ** 2 + t ** 4;
};

const penalty1: Objective = (x, grad) => {
  let [t, squares] = [-0.25, 0];
  for (const v of x) {
    t += v * v;
    squares += (v - 1) ** 2;
  }
  for (let i = 0; i < x.length; i++) grad[i] = 2e-5 * (x[i]! - 1) + 4 * t * x[i]!;
  return 1e-5 * squares + t * t;
};

const broydenTridiagonal = terms(
  (n) => n,
  (x, i, sum) => {
    const n = x.length;
    const v = x[i]!;
    const r = (3 - 2 * v) * v - (i > 0 ? x[i - 1]! : 0) - 2 * (i + 1 < n ? x[i + 1]! : 0) + 1;
    sum[i]! += 2 * r * (3 - 4 * v);
    if (i > 0) sum[i - 1]! -= 2 * r;
    if (i + 1 < n) sum[i + 1]! -= 4 * r;
    return r * r;
  },
);

function quadratic(condition: number): Objective {
  return terms(
    (n) => n,
    (x, i, sum) => {
      const curvature = condition ** (i / (x.length - 1));
      sum[i] = curvature * x[i]!;
      return 0.5 * curvature * x[i]! ** 2;
    },
  );
}

const require = createRequire(__filename);

/** Mean cross-entropy of a linear classifier of the first digits of each class, plus decay/2 times the squares. */
export function digits(countEach: number, decay: number): Objective {
  const folder = join(dirname(require.resolve('mnist/package.json')), 'src', 'digits');
  const classes = Array.from({ length: 10 }, (_, c) =>
    Float64Array.from(
      (JSON.parse(readFileSync(join(folder, `${c}.json`), 'utf8')) as { data: number[] }).data.slice(
        0,
        784 * countEach,
      ),
    ),
  );
  const images = Array.from({ length: 10 * countEach }, (_, i) =>
    classes[i % 10]!.subarray(784 * Math.floor(i / 10), 784 * (Math.floor(i / 10) + 1)),
  );
  return (x, grad) => {
    const sum = new Float64Array(7850);
    let [value, squares] = [0, 0];
    const z = new Float64Array(10);
    for (const [i, image] of images.entries()) {
      for (let c = 0; c < 10; c++) {
        let total = x[7840 + c]!;
        for (let j = 0; j < 784; j++) total += x[784 * c + j]! * image[j]!;
        z[c] = total;
      }
      const most = Math.max(...z);
      let total = 0;
      for (const v of z) total += Math.exp(v - most);
      const logSum = Math.log(total) + most;
      value += logSum - z[i % 10]!;
      for (let c = 0; c < 10; c++) {
        const e = (Math.exp(z[c]! - logSum) - (c === i % 10 ? 1 : 0)) / images.length;
        for (let j = 0; j < 784; j++) sum[784 * c + j]! += e * image[j]!;
        sum[7840 + c]! += e;
      }
    }
    for (let j = 0; j < 7850; j++) {
      squares += x[j]! ** 2;
      grad[j] = sum[j]! + decay * x[j]!;
    }
    return value / images.length + 0.5 * decay * squares;
  };
}

function tiled(n: number, ...values: number[]): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => values[i % values.length]!);
}

function counted(n: number, value: (i: number) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => value(i + 1));
}

export const problems: Readonly<Record<string, Problem>> = {
  'rosenbrock-2': { f: rosenbrockChained, start: tiled(2, -1.2, 1) },
  'rosenbrock-chained-100': { f: rosenbrockChained, start: tiled(100, -1.2, 1) },
  'rosenbrock-extended-100': { f: rosenbrockExtended, start: tiled(100, -1.2, 1) },
  beale: { f: beale, start: tiled(2, 1) },
  'powell-singular': { f: powellSingular, start: tiled(4, 3, -1, 0, 1) },
  'powell-singular-100': { f: powellSingular, start: tiled(100, 3, -1, 0, 1) },
  wood: { f: wood, start: tiled(4, -3, -1) },
  'brown-badly-scaled': { f: brownBadlyScaled, start: tiled(2, 1) },
  'helical-valley': { f: helicalValley, start: tiled(3, -1, 0, 0) },
  'box-3d': { f: box3d, start: tiled(3, 0, 10, 20) },
  'biggs-exp6': { f: biggsExp6, start: tiled(6, 1, 2, 1, 1, 1, 1) },
  'variably-dimensioned-10': { f: variablyDimensioned, start: counted(10, (i) => 1 - i / 10) },
  'variably-dimensioned-100': { f: variablyDimensioned, start: counted(100, (i) => 1 - i / 100) },
  'penalty-1-4': { f: penalty1, start: counted(4, (i) => i) },
  'penalty-1-10': { f: penalty1, start: counted(10, (i) => i) },
  'broyden-tridiagonal-10': { f: broydenTridiagonal, start: tiled(10, -1) },
  'broyden-tridiagonal-100': { f: broydenTridiagonal, start: tiled(100, -1) },
  'quadratic-1e3': { f: quadratic(1e3), start: tiled(100, 1) },
  'quadratic-1e6': { f: quadratic(1e6), start: tiled(100, 1) },
  'softmax-digits': { f: digits(30, 1e-3), start: new Float64Array(7850) },
};

/** The start, each coordinate moved by up to a tenth of its size and at least of 1. */
export function scattered(start: Float64Array, seed: number): Float64Array {
  const u = random(seed);
  return start.map((v) => v + 0.1 * Math.max(1, Math.abs(v)) * (2 * u() - 1));
}
