import { engine } from '../../engine/backend.js';
import type { Vector } from '../linalg.js';

/** A curvature pair: a step s, the change y of the gradient over it, and ρ = 1/sᵀy. */
export interface Pair {
  readonly s: Vector;
  readonly y: Vector;
  readonly rho: number;
}

/**
 * The two-loop recursion: direction ← −H·grad, where H is the inverse BFGS matrix of the pairs on H₀ = γ·I.
 *
 * Each pass over memory applies one pair and also computes the dot product that the next pass needs.
 *
 * @param pairs the oldest first
 * @param alphas scratch, one number for each pair
 * @returns gradᵀdirection
 * @see Nocedal & Wright, Numerical Optimization, 2nd ed., algorithm 7.4
 */
export function twoLoop(
  pairs: readonly Pair[],
  gamma: number,
  grad: Vector,
  direction: Vector,
  alphas: number[],
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
    const alpha = rho * product;
    alphas[i] = alpha;
    // The first pass negates the gradient. The last pass also multiplies by γ.
    const factor = i === 0 ? gamma : 1;
    const [a, x] = i === newest ? [-factor, grad] : [factor, direction];
    product = linalg.axpby(a, x, -factor * alpha, y, direction, i === 0 ? y : pairs[i - 1]!.s);
  }
  for (let i = 0; i <= newest; i++) {
    const { s, rho } = pairs[i]!;
    const next = i === newest ? grad : pairs[i + 1]!.y;
    const beta = rho * product;
    product = linalg.axpby(1, direction, alphas[i]! - beta, s, direction, next);
  }
  return product;
}
