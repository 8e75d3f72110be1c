// Vector operations of the second-order methods. Elements are read in the type that they are stored in, float32 or
// float64. Arithmetic is in float64, and each result is rounded once, when it is stored. Operations that matter for
// speed call the engine.
import { engine } from '../engine/backend.js';
import type { Vector } from '../engine/linalg.js';

export type { Vector };

/** Constructor of float32 or float64 vectors. */
export type VectorConstructor = Float32ArrayConstructor | Float64ArrayConstructor;

/** xᵀy. */
export function dot(x: Vector, y: Vector): number {
  return engine().linalg.dot(x, y);
}

/** ‖x‖₂. Correct even where the squares overflow or underflow. */
export function norm(x: Vector): number {
  const squares = dot(x, x);
  if (squares >= 1e-280 && squares <= 1e300) return Math.sqrt(squares);
  const largest = maxAbs(x);
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** max |xᵢ|. NaN if an element is NaN. */
export function maxAbs(x: Vector): number {
  return engine().linalg.maxAbs(x);
}

/** max |xᵢ − yᵢ|. NaN if an element is NaN. */
export function maxAbsDifference(x: Vector, y: Vector): number {
  return engine().linalg.maxAbsDifference(x, y);
}

/** Whether all elements are equal. Two points usually differ in the first. */
export function isSame(x: Vector, y: Vector): boolean {
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
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

/** out ← x + a·y. */
export function addScaled(x: Vector, a: number, y: Vector, out: Vector): void {
  engine().linalg.axpby(1, x, a, y, out);
}

/** out ← x − y. */
export function subtract(x: Vector, y: Vector, out: Vector): void {
  engine().linalg.axpby(1, x, -1, y, out);
}

/** x − y, as a new float64 vector. */
export function difference(x: Vector, y: Vector): Float64Array {
  const out = new Float64Array(x.length);
  subtract(x, y, out);
  return out;
}

/** out ← a·out + b·(x − y). */
export function addDifference(a: number, out: Vector, b: number, x: Vector, y: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = a * out[i]! + b * (x[i]! - y[i]!);
}
