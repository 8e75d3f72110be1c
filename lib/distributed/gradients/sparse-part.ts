import { floatsOf } from '../../check/typed-array.js';
import type { RowSums } from '../../training/row-sums.js';

/**
 * The elements `[begin, end)` of a sparse gradient, as one of that part. A part may begin amid a row, so its rows are
 * shorter: they divide a row of the param and the part evenly.
 */
export function sparsePart(
  { rows, values }: RowSums,
  begin: number,
  end: number,
): { readonly rows: Uint32Array; readonly values: Float32Array } {
  const columns = rows.length === 0 ? 0 : values.length / rows.length;
  if (begin === end || columns === 0) return { rows: new Uint32Array(0), values: new Float32Array(0) };
  const unit = divisor(divisor(columns, begin), end - begin);
  const pieces = [...rows].map((row, i) => {
    const [from, to] = [Math.max(begin, row * columns), Math.min(end, (row + 1) * columns)];
    return {
      first: (from - begin) / unit,
      count: Math.max(0, to - from) / unit,
      at: i * columns + from - row * columns,
    };
  });
  const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
  const part = { rows: new Uint32Array(count), values: new Float32Array(count * unit) };
  let next = 0;
  for (const { first, count, at } of pieces) {
    if (count === 0) continue;
    part.values.set(floatsOf(values, at, at + count * unit), next * unit);
    for (let k = 0; k < count; k++) part.rows[next++] = first + k;
  }
  return part;
}

/** The greatest common divisor. */
function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
