// Every walk over a vector of the second-order methods. Elements are read as they are stored, float32 or float64, and
// computed with in float64; a result is rounded once, when it is stored. What is walked often is the engine's.
import { engine } from '../engine/backend.js';
import type { Vector } from '../engine/linalg.js';

export type { Vector };

/** Makes vectors of one kind. */
export type VectorConstructor = Float32ArrayConstructor | Float64ArrayConstructor;

/** xᵀy. */
export function dot(x: Vector, y: Vector): number {
  return engine().linalg.dot(x, y);
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
  return engine().linalg.maxAbs(x);
}

/** max |xᵢ − yᵢ|. */
export function maxAbsDifference(x: Vector, y: Vector): number {
  return engine().linalg.maxAbsDifference(x, y);
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
  engine().linalg.axpby(1, y, a, x, y);
}

/** out ← a·x. */
export function scale(a: number, x: Vector, out: Vector): void {
  engine().linalg.multiply(a, x, out);
}

/** out ← x + a·direction. */
export function move(x: Vector, a: number, direction: Vector, out: Vector): void {
  engine().linalg.axpby(1, x, a, direction, out);
}

/** out ← x − y. */
export function subtract(x: Vector, y: Vector, out: Vector): void {
  engine().linalg.axpby(1, x, -1, y, out);
}

/** out ← a·out + b·(x − y). */
export function addDifference(a: number, out: Vector, b: number, x: Vector, y: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = a * out[i]! + b * (x[i]! - y[i]!);
}
