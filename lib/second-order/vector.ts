// Every walk over a vector of the second-order methods. Elements are read as they are stored, float32 or float64, and
// computed with in float64; a result is rounded once, when it is stored. Sums go to four lanes, element i to lane i mod 4,
// added as (0 + 1) + (2 + 3): a kernel that takes the place of one of these keeps that order, and so the bits.

/** A vector in float32 or float64. */
export type Vector = Float32Array | Float64Array;

/** Makes vectors of one kind. */
export type VectorConstructor = Float32ArrayConstructor | Float64ArrayConstructor;

/** xᵀy. */
export function dot(x: Vector, y: Vector): number {
  const whole = x.length - (x.length % 4);
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  let i = 0;
  for (; i < whole; i += 4) {
    sum0 += x[i]! * y[i]!;
    sum1 += x[i + 1]! * y[i + 1]!;
    sum2 += x[i + 2]! * y[i + 2]!;
    sum3 += x[i + 3]! * y[i + 3]!;
  }
  if (i < x.length) sum0 += x[i]! * y[i]!;
  if (i + 1 < x.length) sum1 += x[i + 1]! * y[i + 1]!;
  if (i + 2 < x.length) sum2 += x[i + 2]! * y[i + 2]!;
  return sum0 + sum1 + (sum2 + sum3);
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
  let most = 0;
  for (let i = 0; i < x.length; i++) {
    const size = Math.abs(x[i]!);
    if (!(size <= most)) most = size; // a NaN is taken, and then stays: no comparison with it holds
    if (Number.isNaN(most)) return most;
  }
  return most;
}

/** max |xᵢ − yᵢ|. */
export function maxAbsDifference(x: Vector, y: Vector): number {
  let most = 0;
  for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]! - y[i]!));
  return most;
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
  for (let i = 0; i < x.length; i++) y[i] = y[i]! + a * x[i]!;
}

/** out ← a·x. */
export function scale(a: number, x: Vector, out: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = a * x[i]!;
}

/** out ← x + a·direction. */
export function move(x: Vector, a: number, direction: Vector, out: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = x[i]! + a * direction[i]!;
}

/** out ← x − y. */
export function subtract(x: Vector, y: Vector, out: Vector): void {
  for (let i = 0; i < x.length; i++) out[i] = x[i]! - y[i]!;
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
 * direction ← −H·grad, the two-loop recursion: H is the inverse BFGS matrix of the pairs, the oldest first, on γ·I.
 *
 * @param weights scratch, one number a pair
 */
export function twoLoop(pairs: readonly Pair[], gamma: number, grad: Vector, direction: Vector, weights: Vector): void {
  scale(-1, grad, direction);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { s, y, rho } = pairs[i]!;
    const weight = rho * dot(s, direction);
    weights[i] = weight;
    axpy(-weight, y, direction);
  }
  scale(gamma, direction, direction);
  for (let i = 0; i < pairs.length; i++) {
    const { s, y, rho } = pairs[i]!;
    axpy(weights[i]! - rho * dot(y, direction), s, direction);
  }
}
