import { lengthOf } from '../check/typed-array.js';
import type { Rows } from '../engine/engine.js';

/** A sparse gradient that names each row once, in ascending order. */
export interface RowSums {
  readonly rows: Uint32Array;
  readonly values: Float32Array;
}

const f = Math.fround;

/** weight · the gradient, where the values of a repeated row are summed first, in the order given. */
export function rowSums(rows: Rows, values: Float32Array, weight: number): RowSums {
  const count = lengthOf(rows);
  const columns = count === 0 ? 0 : lengthOf(values) / count;
  const positions = sortedPositions(rows);
  const own = new Uint32Array(count);
  const sums = new Float32Array(count * columns);
  let last = -1;
  for (const position of positions) {
    const row = rows[position]!;
    const isNew = last < 0 || own[last] !== row;
    if (isNew) own[++last] = row;
    const [to, from] = [last * columns, position * columns];
    for (let j = 0; j < columns; j++) sums[to + j] = isNew ? values[from + j]! : sums[to + j]! + values[from + j]!;
  }
  const [by, end] = [f(weight), (last + 1) * columns];
  if (by !== 1) for (let i = 0; i < end; i++) sums[i] = by * sums[i]!;
  return { rows: own.slice(0, last + 1), values: sums.slice(0, end) };
}

/** The positions of row numbers in ascending order; equal ones stay in the order given. */
function sortedPositions(rows: Rows): Uint32Array | Float64Array {
  const count = lengthOf(rows);
  let largest = 0;
  for (let i = 0; i < count; i++) if (rows[i]! > largest) largest = rows[i]!;
  if ((largest + 1) * count > Number.MAX_SAFE_INTEGER)
    return Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => rows[a]! - rows[b]! || a - b);
  // Row and position in one number: a sort without a comparison function is many times faster.
  const keys = new Float64Array(count);
  for (let i = 0; i < count; i++) keys[i] = rows[i]! * count + i;
  keys.sort();
  for (let i = 0; i < count; i++) keys[i] = keys[i]! % count;
  return keys;
}

/** left + right, row by row. A row that only one of them has is copied. */
export function addRows(left: RowSums, right: RowSums): RowSums {
  if (left.rows.length === 0) return right;
  if (right.rows.length === 0) return left;
  const columns = left.values.length / left.rows.length;
  const rows = union(left.rows, right.rows);
  const values = new Float32Array(rows.length * columns);
  let [l, r] = [0, 0];
  for (let i = 0; i < rows.length; i++) {
    const to = i * columns;
    const isLeft = left.rows[l] === rows[i];
    if (isLeft) values.set(left.values.subarray(l * columns, ++l * columns), to);
    if (right.rows[r] !== rows[i]) continue;
    const from = r++ * columns;
    for (let j = 0; j < columns; j++)
      values[to + j] = isLeft ? values[to + j]! + right.values[from + j]! : right.values[from + j]!;
  }
  return { rows, values };
}

/** The numbers of two ascending lists, each once. */
function union(a: Uint32Array, b: Uint32Array): Uint32Array {
  const all = new Uint32Array(a.length + b.length);
  let count = 0;
  for (let [i, j] = [0, 0]; i < a.length || j < b.length; count++) {
    const [x, y] = [a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY];
    all[count] = Math.min(x, y);
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return all.slice(0, count);
}
