// Every walk over a vector of the second-order methods. Elements are read as they are stored, float32 or float64, and
// computed with in float64; a result is rounded once, when it is stored. What is walked often is the engine's.
import { engine } from '../core/backend.js';
import type { Vector } from '../core/vectors.js';

export type { Vector };

/** Makes vectors of one kind. */
export type VectorConstructor = Float32ArrayConstructor | Float64ArrayConstructor;

/** xᵀy. */
export function dot(x: Vector, y: Vector): number {
  return engine().vectors.dot(x, y);
}

/** ‖x‖₂. Without overflow or underflow where the squares would have it. */
export function norm(x: Vector): number {
  const squares = dot(x, x);
  if (squares >= 1e-280 && squares <= 1e300) return Math.sqrt(squares);
  const most = maxAbs(x);
  if (most === 0 || !Number.isFinite(most)) return most;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! / most) ** 2;
  return most * Math.sqrt(sum);
}

/** max |xᵢ|; NaN if one is NaN. */
export function maxAbs(x: Vector): number {
  return engine().vectors.maxAbs(x);
}

/** max |xᵢ − yᵢ|. */
export function maxAbsDifference(x: Vector, y: Vector): number {
  return engine().vectors.maxAbsDifference(x, y);
}

/** Σ |xᵢ·yᵢ|. */
export function sumAbsProducts(x: Vector, y: Vector): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.abs(x[i]! * y[i]!);
  return sum;
}

/** ‖x‖₁. */
export function sumAbs(x: Vector): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.abs(x[i]!);
  return sum;
}

/** y ← y + a·x. */
export function axpy(a: number, x: Vector, y: Vector): void {
  engine().vectors.combine(1, y, a, x, y);
}

/** out ← a·x. */
export function scale(a: number, x: Vector, out: Vector): void {
  engine().vectors.multiply(a, x, out);
}

/** out ← x + a·direction. */
export function move(x: Vector, a: number, direction: Vector, out: Vector): void {
  engine().vectors.combine(1, x, a, direction, out);
}

/** out ← x − y. */
export function subtract(x: Vector, y: Vector, out: Vector): void {
  engine().vectors.combine(1, x, -1, y, out);
}

/** out ← a·out + b·(x − y). */
export function addDifference(a: number, out: Vector, b: number, x: Vector, y: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = a * out[i]! + b * (x[i]! - y[i]!);
}

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
  const { vectors } = engine();
  const newest = pairs.length - 1;
  if (newest < 0) {
    vectors.multiply(-1, grad, direction);
    return vectors.dot(grad, direction);
  }
  let product = -vectors.dot(pairs[newest]!.s, grad);
  for (let i = newest; i >= 0; i--) {
    const { y, rho } = pairs[i]!;
    const weight = rho * product;
    weights[i] = weight;
    // The first walk turns the gradient round, the last one multiplies by the initial matrix.
    const factor = i === 0 ? gamma : 1;
    const [a, x] = i === newest ? [-factor, grad] : [factor, direction];
    product = vectors.combine(a, x, -factor * weight, y, direction, i === 0 ? y : pairs[i - 1]!.s);
  }
  for (let i = 0; i <= newest; i++) {
    const { s, rho } = pairs[i]!;
    const next = i === newest ? grad : pairs[i + 1]!.y;
    product = vectors.combine(1, direction, weights[i]! - rho * product, s, direction, next);
  }
  return product;
}
