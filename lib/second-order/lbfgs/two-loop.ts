import { engine } from '../../engine/backend.js';
import type { Vector } from '../linalg.js';

/** One curvature pair: a step s, the change y of the gradient along it, and ρ = 1/sᵀy. */
export interface Pair {
  readonly s: Vector;
  readonly y: Vector;
  readonly rho: number;
}

/**
 * direction ← −H·grad, the two-loop recursion: H is the inverse BFGS matrix of the pairs, the oldest first, on γ·I. Each walk
 * takes one pair out or puts it in, and finds the dot product that the next one begins with.
 *
 * @param weights scratch, one number a pair
 * @returns gradᵀdirection
 */
export function twoLoop(
  pairs: readonly Pair[],
  gamma: number,
  grad: Vector,
  direction: Vector,
  weights: Vector,
): number {
  const { linalg } = engine();
  const newest = pairs.length - 1;
  if (newest < 0) {
    linalg.multiply(-1, grad, direction);
    return linalg.dot(grad, direction);
  }
  let product = -linalg.dot(pairs[newest]!.s, grad);
  for (let i = newest; i >= 0; i--) {
    const { y, rho } = pairs[i]!;
    const weight = rho * product;
    weights[i] = weight;
    // The first walk turns the gradient round, the last one multiplies by the initial matrix.
    const factor = i === 0 ? gamma : 1;
    const [a, x] = i === newest ? [-factor, grad] : [factor, direction];
    product = linalg.axpby(a, x, -factor * weight, y, direction, i === 0 ? y : pairs[i - 1]!.s);
  }
  for (let i = 0; i <= newest; i++) {
    const { s, rho } = pairs[i]!;
    const next = i === newest ? grad : pairs[i + 1]!.y;
    product = linalg.axpby(1, direction, weights[i]! - rho * product, s, direction, next);
  }
  return product;
}
