import { vi } from 'vitest';
import { LBFGS } from '../../../lib/index.js';
import { f32 } from '../arrays.js';
import type { Any } from '../bad-input.js';
import { rosenbrock } from './functions.js';

export const AnyLBFGS = LBFGS as Any;

/** An LBFGS with a closure that evaluates Rosenbrock's valley. */
export function setup(options: object = {}, start = [-1.2, 1]) {
  const [x, grads] = [f32(...start), new Float32Array(start.length)];
  const lbfgs = new AnyLBFGS(x, { grads, ...options }) as LBFGS;
  const closure = vi.fn(() => rosenbrock(x, grads));
  return { x, grads, lbfgs, closure };
}
