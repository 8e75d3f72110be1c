// The products of SFO with its tall matrix, M rows by some tens of columns: where its time goes. Columns are stored one by
// one, so that every walk is along memory; a native kernel may take the place of each of these.
import { axpy, dot, norm, scale } from './vector.js';

/** A tall matrix: its columns, all of one length. */
export type Columns = readonly Float64Array[];

/** Rows that are worked on at a time, so that a block of all columns stays in the cache. */
const block = 256;

/** out ← Pᵀx, over the first `count` columns; zeros beyond. */
export function project(columns: Columns, count: number, x: Float64Array, out: Float64Array): void {
  out.fill(0);
  // Four columns at a time: x is read a fourth as often.
  for (let k = 0; k < count; k += 4) {
    const [a, b, c, d] = four(columns, k, count);
    let [sumA, sumB, sumC, sumD] = [0, 0, 0, 0];
    for (let r = 0; r < x.length; r++) {
      const v = x[r]!;
      sumA += a[r]! * v;
      sumB += b[r]! * v;
      sumC += c[r]! * v;
      sumD += d[r]! * v;
    }
    out[k] = sumA;
    if (k + 1 < count) out[k + 1] = sumB;
    if (k + 2 < count) out[k + 2] = sumC;
    if (k + 3 < count) out[k + 3] = sumD;
  }
}

/** x ← x + a·P·z, over the first `count` columns. */
export function addCombination(columns: Columns, count: number, a: number, z: Float64Array, x: Float64Array): void {
  for (let k = 0; k < count; k += 4) {
    const [p, q, s, t] = four(columns, k, count);
    const weight = (j: number): number => (j < count ? a * z[j]! : 0);
    const [wp, wq, ws, wt] = [weight(k), weight(k + 1), weight(k + 2), weight(k + 3)];
    for (let r = 0; r < x.length; r++) x[r]! += wp * p[r]! + wq * q[r]! + (ws * s[r]! + wt * t[r]!);
  }
}

/** Columns k to k + 3; the last one again where there are fewer. */
function four(columns: Columns, k: number, count: number): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const at = (j: number): Float64Array => columns[Math.min(j, count - 1)]!;
  return [at(k), at(k + 1), at(k + 2), at(k + 3)];
}

/** P ← P·Qᵀ: Q has a row for each new column, as long as P has columns; the columns that are left over become zeros. */
export function recombine(columns: Columns, q: Columns): void {
  for (let begin = 0; begin < columns[0]!.length; begin += block) {
    const parts = columns.map((column) => column.subarray(begin, begin + block));
    const made = q.map((weights) => {
      const out = new Float64Array(parts[0]!.length);
      addCombination(parts, parts.length, 1, weights, out);
      return out;
    });
    for (const [k, part] of parts.entries()) {
      const out = made[k];
      if (out === undefined) part.fill(0);
      else part.set(out);
    }
  }
}

/** PᵀP, row after row. */
export function gram(columns: Columns): Float64Array[] {
  const products = columns.map((x, i) => Float64Array.from(columns, (y, j) => (j <= i ? dot(x, y) : 0)));
  for (const [i, row] of products.entries()) for (let j = 0; j < i; j++) products[j]![i] = row[j]!;
  return products;
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
