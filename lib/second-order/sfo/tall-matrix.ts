// Products with SFO's tall-and-skinny matrix P: M rows by a few tens of columns. Most of the run time is spent here.
// Each column is an array of its own, so that every pass reads memory in order. One array for all columns could exceed
// the maximum length of an array.
import { engine } from '../../engine/backend.js';
import type { Columns } from '../../engine/linalg.js';
import { axpy, dot, norm, scale } from '../linalg.js';

/** out ← Pᵀx, over the first `count` columns. The other elements of `out` become zero. */
export function project(columns: Columns, count: number, x: Float64Array, out: Float64Array): void {
  engine().linalg.project(columns.slice(0, count), x, out.subarray(0, count));
  out.fill(0, count);
}

/** x ← x + a·P·z, over the first `count` columns. */
export function addCombination(columns: Columns, count: number, a: number, z: Float64Array, x: Float64Array): void {
  const weights = z.slice(0, count);
  scale(a, weights, weights);
  engine().linalg.addCombination(columns.slice(0, count), weights, x);
}

/**
 * P ← P·Qᵀ. Q has one matrix row for each new column, and each is as long as P has columns. The remaining columns of P
 * become zero.
 */
export function gemmInPlace(columns: Columns, q: Columns): void {
  engine().linalg.gemmInPlace(columns, q);
}

/** The Gram matrix PᵀP, as a list of its matrix rows. */
export function gram(columns: Columns): Float64Array[] {
  const size = columns.length;
  const products = new Float64Array(size * size);
  engine().linalg.gram(columns, products);
  return columns.map((_, i) => products.subarray(i * size, (i + 1) * size));
}

/**
 * P ← Q of the decomposition P = Q·R, by modified Gram–Schmidt. Accurate for columns that are nearly orthonormal.
 * Returns the matrix rows of R.
 */
export function orthonormalise(columns: Columns): Float64Array[] {
  const r = columns.map(() => new Float64Array(columns.length));
  for (const [k, column] of columns.entries()) {
    const length = norm(column);
    r[k]![k] = length;
    scale(1 / length, column, column);
    for (let j = k + 1; j < columns.length; j++) {
      const overlap = dot(column, columns[j]!);
      r[k]![j] = overlap;
      axpy(-overlap, column, columns[j]!);
    }
  }
  return r;
}
