import type { Numbers } from './problems.js';

/** Rosenbrock's valley. Its minimum is 0, at (1, 1). */
export function rosenbrock(x: Numbers, grad: Numbers): number {
  const t = x[1]! - x[0]! ** 2;
  grad[0] = -400 * x[0]! * t - 2 * (1 - x[0]!);
  grad[1] = 200 * t;
  return 100 * t ** 2 + (1 - x[0]!) ** 2;
}

/** ½·Σ(i + 1)·(xᵢ − 1)². */
export function bowl(x: Numbers, grad: Numbers): number {
  let value = 0;
  for (let i = 0; i < x.length; i++) {
    grad[i] = (i + 1) * (x[i]! - 1);
    value += ((i + 1) * (x[i]! - 1) ** 2) / 2;
  }
  return value;
}
