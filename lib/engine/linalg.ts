/** A vector in float32 or float64. */
export type Vector = Float32Array | Float64Array;

/** The columns of a tall matrix, all of one length. */
export type Columns = readonly Float64Array[];

/**
 * Operations on vectors of any kind, which may be mixed. Elements are read as they are stored and computed with in float64; a
 * result is rounded once, when it is stored. Sums are over chunks of `chunkLength` elements, added in their order; within
 * one, element i goes to lane i mod 16, and the lanes are folded in halves. What is written to may be one of the vectors that
 * are read, but not overlap it otherwise. Lengths must be equal: nothing checks them in JavaScript, and the addon throws a
 * RangeError.
 */
export interface Linalg {
  /** xᵀy. */
  dot(x: Vector, y: Vector): number;
  /** out ← a·x + b·y, and, in the same walk, outᵀz as it was stored; 0 without z. */
  axpby(a: number, x: Vector, b: number, y: Vector, out: Vector, z?: Vector): number;
  /** out ← factor·x. */
  multiply(factor: number, x: Vector, out: Vector): void;
  /** max |xᵢ|; NaN if one is NaN. */
  maxAbs(x: Vector): number;
  /** max |xᵢ − yᵢ|; NaN if one is NaN. */
  maxAbsDifference(x: Vector, y: Vector): number;
  /** out ← Pᵀx. */
  project(columns: Columns, x: Float64Array, out: Float64Array): void;
  /** x ← x + P·weights, the columns added in groups of four, as (a + b) + (c + d). */
  addCombination(columns: Columns, weights: Float64Array, x: Float64Array): void;
  /** P ← P·Qᵀ: Q has a row for each new column, as long as P has columns; the columns that are left over become zeros. */
  gemmInPlace(columns: Columns, q: Columns): void;
  /** out ← PᵀP, row after row; partial sums are over `pieceLength` rows here. */
  gram(columns: Columns, out: Float64Array): void;
}
