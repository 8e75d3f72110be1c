import { lengthOf, lengthOfFloats, lengthOfRows } from '../check/typed-array.js';
import type { Rows } from '../engine/engine.js';

/**
 * A gradient as the user gave it, not yet checked: a dense array, a sparse gradient whose `rows` and `values` were each
 * read once, or null.
 */
export type ReadGrad = Float32Array | ReadSparseGrad | null;

/** A sparse gradient whose arrays were read, not yet checked. */
export class ReadSparseGrad {
  readonly rows: Rows;
  readonly values: Float32Array;
  #rowCount = 0;
  #valueCount = 0;

  constructor(rows: unknown, values: unknown) {
    this.rows = rows as Rows;
    this.values = values as Float32Array;
  }

  /** Remembers the lengths that the plan has. */
  setRegistered(): void {
    this.#rowCount = lengthOf(this.rows);
    this.#valueCount = lengthOf(this.values);
  }

  /**
   * Whether the plan has these arrays as they are. A length-tracking array may have grown since. Without rows they are
   * checked again: a detached array has none either.
   */
  get isRegistered(): boolean {
    return (
      this.#rowCount > 0 &&
      lengthOfRows(this.rows) === this.#rowCount &&
      lengthOfFloats(this.values) === this.#valueCount
    );
  }
}
