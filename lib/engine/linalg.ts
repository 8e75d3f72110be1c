/** A vector of float32 or float64. */
export type Vector = Float32Array | Float64Array;

/** The columns of a tall matrix, all of the same length. */
export type Columns = readonly Float64Array[];

/**
 * Vector operations. Float32 and float64 arrays may be mixed. All arithmetic is float64; a result is rounded once, when
 * it is stored. A sum adds chunks of `chunkLength` elements in their order. Within a chunk, element i goes to lane i
 * mod 16, and the lanes are folded in halves. An output may be the same array as an input, but must not overlap it
 * partly. Lengths must be equal: the addon throws a RangeError if not, and the JavaScript engine does not check.
 */
export interface Linalg {
  /** xᵀy. */
  dot(x: Vector, y: Vector): number;
  /** out ← a·x + b·y. Returns outᵀz of the stored values, computed in the same walk, or 0 without z. */
  axpby(a: number, x: Vector, b: number, y: Vector, out: Vector, z?: Vector): number;
  /** out ← factor·x. */
  multiply(factor: number, x: Vector, out: Vector): void;
  /** max |xᵢ|. NaN if an element is NaN. */
  maxAbs(x: Vector): number;
  /** max |xᵢ − yᵢ|. NaN if a difference is NaN. */
  maxAbsDifference(x: Vector, y: Vector): number;
  /** out ← Pᵀx. */
  project(columns: Columns, x: Float64Array, out: Float64Array): void;
  /** x ← x + P·weights. Columns are added in groups of four, as (a + b) + (c + d). */
  addCombination(columns: Columns, weights: Float64Array, x: Float64Array): void;
  /**
   * P ← P·Qᵀ. Q has one row for each new column, with one element for each column of P. Columns left over become zero.
   */
  gemmInPlace(columns: Columns, q: Columns): void;
  /** out ← PᵀP, row by row. Partial sums cover `pieceLength` rows of P. */
  gram(columns: Columns, out: Float64Array): void;
}
