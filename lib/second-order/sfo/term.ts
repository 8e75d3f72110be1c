import { difference, dot } from '../linalg.js';
import { type Change, type Hessian, quadraticForm } from './hessian.js';

/** A term of the sum (a subfunction in the paper): its last evaluation, its history, and its quadratic model. */
export interface Term {
  /** Its number in the sum, 0 … N − 1. */
  readonly index: number;
  /** Number of evaluations of the term since the start, or since it was replaced by another function. */
  evaluations: number;
  /** Whether the term has been evaluated. Until then, `z` is the starting point and `grad` is zero. */
  isKnown: boolean;
  /** The point of the last evaluation, in the subspace. */
  z: Float64Array;
  /** The gradient there, in the subspace. */
  grad: Float64Array;
  /** The value there. */
  value: number;
  /** Curvature pairs, the newest first. */
  changes: Change[];
  hessian: Hessian;
}

/** The value of the term's quadratic model at z. */
export function predict({ value, grad, z: center, hessian }: Term, z: Float64Array): number {
  const offset = difference(z, center);
  return value + dot(grad, offset) + quadraticForm(hessian, offset) / 2;
}
