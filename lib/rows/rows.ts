import { rangeError } from '../check/errors.js';
import { checkRows, lengthOf } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import type { Rows } from '../engine/table-rows.js';
import {
  checkAnswer,
  checkCount,
  checkFloats,
  checkIdle,
  checkTable,
  type Numbers,
  readTable,
  type Table,
} from './table.js';

const rowsOf = (argument: string, numbers: Rows, count: number): Numbers => ({
  argument,
  numbers,
  range: () => `[0, ${count})`,
});

/**
 * Copies rows of a table: `outᵢ ← table[rowsᵢ]`.
 *
 * @param table rows of `width` numbers; not changed
 * @param rows row numbers in [0, shape[0]), in any order, also repeated
 * @param out overwritten; length `rows.length · width`; shares no memory with the table
 * @returns `out`
 * @throws TypeError for a wrong type, a detached buffer or memory of a pending step; RangeError for a length, a row number out
 *   of range or shared memory. `out` is unchanged then.
 * @see PyTorch's `torch.index_select` and `torch.nn.functional.embedding`
 * @example
 * ```ts
 * import { gather } from 'schuss/rows';
 *
 * const items = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
 * gather(items, Int32Array.of(2, 0), new Float32Array(4)); // [5, 6, 1, 2]
 * ```
 */
export function gather(table: Table, rows: Rows, out: Float32Array): Float32Array {
  const who = 'gather';
  const { data, count, width } = checkTable(who, 'table', readTable(who, 'table', table));
  checkRows(who, 'rows', rows);
  checkFloats(who, 'out', out, lengthOf(rows) * width, 'a row of the table for each of rows');
  checkIdle(who, { table: data, out });
  const answer = engine().tables.gatherRows(width, data, rows, out);
  checkAnswer(who, answer, [rowsOf('rows', rows, count)]);
  return out;
}

/**
 * Dot products of pairs of rows: `outᵢ ← a[rowsAᵢ]ᵀ b[rowsBᵢ]`. In a recommender it is the score of a user and an item.
 *
 * Each product is summed in float64, in the fixed order of the library's sums, and rounded once.
 *
 * @param a rows of `width` numbers; not changed
 * @param rowsA row numbers in `a`
 * @param b another table, or the same, with rows of the same width; not changed
 * @param rowsB row numbers in `b`, as many as in `rowsA`
 * @param out overwritten; length `rowsA.length`; shares no memory with the tables
 * @returns `out`
 * @throws TypeError for a wrong type, a detached buffer or memory of a pending step; RangeError for a length, a row number out
 *   of range or shared memory. `out` is unchanged then.
 * @example
 * ```ts
 * import { dots } from 'schuss/rows';
 *
 * const users = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
 * const items = { data: Float32Array.of(5, 6, 7, 8), shape: [2, 2] };
 * dots(users, Int32Array.of(0, 1), items, Int32Array.of(1, 1), new Float32Array(2)); // [1·7 + 2·8, 3·7 + 4·8]
 * ```
 */
export function dots(a: Table, rowsA: Rows, b: Table, rowsB: Rows, out: Float32Array): Float32Array {
  const who = 'dots';
  const [readA, readB] = [readTable(who, 'a', a), readTable(who, 'b', b)];
  const first = checkTable(who, 'a', readA);
  const second = checkTable(who, 'b', readB);
  checkRows(who, 'rowsA', rowsA);
  checkRows(who, 'rowsB', rowsB);
  if (first.width !== second.width)
    throw rangeError(who, 'b.shape', `rows of ${second.width}`, `rows of ${first.width}, as in a`);
  checkCount(who, 'rowsB', rowsB, lengthOf(rowsA), 'the length of rowsA');
  checkFloats(who, 'out', out, lengthOf(rowsA), 'the length of rowsA');
  checkIdle(who, { a: first.data, b: second.data, out });
  const answer = engine().tables.dotRows(first.width, first.data, rowsA, out, second.data, rowsB);
  checkAnswer(who, answer, [rowsOf('rowsA', rowsA, first.count), rowsOf('rowsB', rowsB, second.count)]);
  return out;
}

/**
 * Rows of a table, each times its factor: `outᵢ ← factorsᵢ · table[rowsᵢ]`, in float32.
 *
 * It is the gradient of {@link dots}: if `factors` is ∂loss/∂dot, the rows of `b` times their factors are the gradients of
 * the rows of `a`. Give `out` to an optimizer as the `values` of a sparse gradient.
 *
 * @param table rows of `width` numbers; not changed
 * @param rows row numbers in [0, shape[0])
 * @param factors one number for each of `rows`; not changed
 * @param out overwritten; length `rows.length · width`; shares no memory with the inputs
 * @returns `out`
 * @throws TypeError for a wrong type, a detached buffer or memory of a pending step; RangeError for a length, a row number out
 *   of range or shared memory. `out` is unchanged then.
 * @example
 * ```ts
 * import { scaled } from 'schuss/rows';
 *
 * const items = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
 * scaled(items, Int32Array.of(1, 0), Float32Array.of(10, -1), new Float32Array(4)); // [30, 40, -1, -2]
 * ```
 */
export function scaled(table: Table, rows: Rows, factors: Float32Array, out: Float32Array): Float32Array {
  const who = 'scaled';
  const { data, count, width } = checkTable(who, 'table', readTable(who, 'table', table));
  checkRows(who, 'rows', rows);
  checkFloats(who, 'factors', factors, lengthOf(rows), 'the length of rows');
  checkFloats(who, 'out', out, lengthOf(rows) * width, 'a row of the table for each of rows');
  checkIdle(who, { table: data, factors, out });
  const answer = engine().tables.scaleRows(width, data, rows, out, factors);
  checkAnswer(who, answer, [rowsOf('rows', rows, count)]);
  return out;
}

/**
 * The mean of each bag of rows: `outᵢ ← (Σ table[r]) / n` over the `n` rows of bag i. An empty bag gives zeros.
 *
 * Bag i holds `rows[offsetsᵢ]` up to, but not including, `rows[offsetsᵢ₊₁]`; the last bag ends with `rows`. The sum is a
 * float32 sum in the order of `rows`.
 *
 * @param table rows of `width` numbers; not changed
 * @param rows row numbers of all bags, one bag after the other
 * @param offsets where each bag begins: 0 first, then ascending, at most `rows.length`
 * @param out overwritten; length `offsets.length · width`; shares no memory with the inputs
 * @returns `out`
 * @throws TypeError for a wrong type, a detached buffer or memory of a pending step; RangeError for a length, a row number or
 *   an offset out of range, or shared memory. `out` is unchanged then.
 * @see PyTorch's `torch.nn.EmbeddingBag` with `mode='mean'`
 * @example
 * ```ts
 * import { meanRows } from 'schuss/rows';
 *
 * const words = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
 * meanRows(words, Int32Array.of(0, 2, 1), Int32Array.of(0, 2), new Float32Array(4)); // [3, 4, 3, 4]
 * ```
 */
export function meanRows(table: Table, rows: Rows, offsets: Rows, out: Float32Array): Float32Array {
  const who = 'meanRows';
  const { data, count, width } = checkTable(who, 'table', readTable(who, 'table', table));
  checkRows(who, 'rows', rows);
  checkRows(who, 'offsets', offsets);
  checkFloats(who, 'out', out, lengthOf(offsets) * width, 'a row of the table for each of offsets');
  if (lengthOf(offsets) === 0) checkCount(who, 'rows', rows, 0, 'because there is no bag');
  checkIdle(who, { table: data, out });
  const answer = engine().tables.meanRows(width, data, rows, out, offsets);
  const range = (i: number): string => (i === 0 ? '0' : `[${offsets[i - 1]}, ${lengthOf(rows)}]`);
  checkAnswer(who, answer, [rowsOf('rows', rows, count), { argument: 'offsets', numbers: offsets, range }]);
  return out;
}
