// The products of SFO with its tall matrix, M rows by some tens of columns: where its time goes. Columns are stored one by
// one, so that every walk is along memory; a single array of them all would soon be longer than an array can be.
import { engine } from '../../engine/backend.js';
import type { Columns } from '../../engine/linalg.js';
import { axpy, dot, norm, scale } from '../linalg.js';

/** out ← Pᵀx, over the first `count` columns; zeros beyond. */
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

/** P ← P·Qᵀ: Q has a row for each new column, as long as P has columns; the columns that are left over become zeros. */
export function gemmInPlace(columns: Columns, q: Columns): void {
  engine().linalg.gemmInPlace(columns, q);
}

/** PᵀP, row after row. */
export function gram(columns: Columns): Float64Array[] {
  const size = columns.length;
  const products = new Float64Array(size * size);
  engine().linalg.gram(columns, products);
  return columns.map((_, i) => products.subarray(i * size, (i + 1) * size));
}

/** P ← Q of P = Q·R, for columns that are nearly orthonormal, by modified Gram and Schmidt. Returns the rows of R. */
export function orthonormalise(columns: Columns): Float64Array[] {
  const r = columns.map(() => new Float64Array(columns.length));
  for (const [k, column] of columns.entries()) {
    const length = norm(column);
    r[k]![k] = length;
    scale(1 / length, column, column);
    for (let j = k + 1; j < columns.length; j++) {
      const along = dot(column, columns[j]!);
      r[k]![j] = along;
      axpy(-along, column, columns[j]!);
    }
  }
  return r;
}
