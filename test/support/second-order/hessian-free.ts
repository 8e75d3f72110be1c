import { HessianFree } from '../../../lib/index.js';
import { f32 } from '../arrays.js';
import type { Any } from '../bad-input.js';
import { rosenbrockSquares } from './gauss-newton.js';

export const AnyHessianFree = HessianFree as Any;

/** A HessianFree with a closure that evaluates Rosenbrock's valley. */
export function setup(options: object = {}, start = [-1.2, 1]) {
  const [x, grads] = [f32(...start), f32(0, 0)];
  const { f, gaussNewton } = rosenbrockSquares;
  const hf = new AnyHessianFree(x, { grads, gaussNewton, ...options }) as HessianFree;
  return { x, grads, hf, closure: () => f(x, grads) };
}
