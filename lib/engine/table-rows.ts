/** Row numbers. @inline */
export type Rows = Int32Array | Uint32Array;

/**
 * Reads of the rows of tables, `width` numbers each, `width` > 0. Arguments are checked, but not row numbers and not
 * whether memory is shared. Each function returns {@link done}; {@link shared}, if `out` shares memory with an input; or the
 * position of a number out of range. Unless it is `done`, nothing was written.
 */
export interface TableRows {
  /** out ← the named rows. */
  gatherRows(width: number, table: Float32Array, rows: Rows, out: Float32Array): number;
  /** out ← the named rows, each times its factor, in float32. */
  scaleRows(width: number, table: Float32Array, rows: Rows, out: Float32Array, factors: Float32Array): number;
  /** outᵢ ← aᵀb of the rows at i: a float64 sum in the order of `Linalg`. Positions of `rowsB` follow those of `rows`. */
  dotRows(width: number, a: Float32Array, rowsA: Rows, out: Float32Array, b: Float32Array, rowsB: Rows): number;
  /**
   * out ← the mean of each bag of rows: their float32 sum in the order of `rows`, divided by their number; 0 for an empty bag.
   * Bag i begins at `offsets[i]`. Positions of `offsets` follow those of `rows`.
   */
  meanRows(width: number, table: Float32Array, rows: Rows, out: Float32Array, offsets: Rows): number;
}

/** A call that wrote its output. */
export const done = -1;
/** A call whose output shares memory with an input. */
export const shared = -2;
