import { bufferOf, byteOffsetOf, lengthOf } from '../check/typed-array.js';
import { dot } from './reference-linalg.js';
import { done, type Rows, shared, type TableRows } from './table-rows.js';

// The executable specification of native/engine/table_rows.cpp and native/kernels/table_rows.h: the same operations in
// the same order.
const f = Math.fround;

/** Row numbers, each read once, because another thread may change them. A negative one becomes one that is out of range. */
function readOnce(rows: Rows): Uint32Array {
  const read = new Uint32Array(lengthOf(rows));
  for (let i = 0; i < read.length; i++) read[i] = rows[i]!;
  return read;
}

/** Position of the first number that is not below `limit`, or {@link done}. */
function firstAtLeast(numbers: Uint32Array, limit: number): number {
  for (let i = 0; i < numbers.length; i++) if (numbers[i]! >= limit) return i;
  return done;
}

function isShared(out: Float32Array, inputs: readonly (Float32Array | Rows)[]): boolean {
  const begin = byteOffsetOf(out);
  const end = begin + 4 * lengthOf(out);
  return inputs.some((input) => {
    const start = byteOffsetOf(input);
    const length = lengthOf(input);
    return bufferOf(input) === bufferOf(out) && length > 0 && start < end && begin < start + 4 * length;
  });
}

/** Reads the numbers of rows of `table`: the numbers, or the position of one that is out of range. */
function namesOf(width: number, table: Float32Array, rows: Rows): Uint32Array | number {
  const names = readOnce(rows);
  const bad = firstAtLeast(names, lengthOf(table) / width);
  return bad === done ? names : bad;
}

/** Position of the first offset that does not ascend from 0 to at most `count`, or {@link done}. */
function firstBadOffset(offsets: Uint32Array, count: number): number {
  const bad = firstAtLeast(offsets, count + 1);
  if (bad !== done) return bad;
  return offsets.findIndex((offset, i) => (i === 0 ? offset !== 0 : offset < offsets[i - 1]!));
}

/** {@link TableRows} in JavaScript. */
export const referenceTableRows: TableRows = {
  gatherRows(width, table, rows, out) {
    if (isShared(out, [table, rows])) return shared;
    const names = namesOf(width, table, rows);
    if (typeof names === 'number') return names;
    for (let i = 0; i < names.length; i++) {
      const [from, to] = [names[i]! * width, i * width];
      for (let k = 0; k < width; k++) out[to + k] = table[from + k]!;
    }
    return done;
  },

  scaleRows(width, table, rows, out, factors) {
    if (isShared(out, [table, rows, factors])) return shared;
    const names = namesOf(width, table, rows);
    if (typeof names === 'number') return names;
    for (let i = 0; i < names.length; i++) {
      const [from, to, factor] = [names[i]! * width, i * width, factors[i]!];
      for (let k = 0; k < width; k++) out[to + k] = factor * table[from + k]!;
    }
    return done;
  },

  dotRows(width, a, rowsA, out, b, rowsB) {
    if (isShared(out, [a, rowsA, b, rowsB])) return shared;
    const namesA = namesOf(width, a, rowsA);
    if (typeof namesA === 'number') return namesA;
    const namesB = namesOf(width, b, rowsB);
    if (typeof namesB === 'number') return namesA.length + namesB;
    const [x, y] = [new Float32Array(width), new Float32Array(width)];
    for (let i = 0; i < namesA.length; i++) {
      const [fromA, fromB] = [namesA[i]! * width, namesB[i]! * width];
      for (let k = 0; k < width; k++) {
        x[k] = a[fromA + k]!;
        y[k] = b[fromB + k]!;
      }
      out[i] = dot(x, y);
    }
    return done;
  },

  meanRows(width, table, rows, out, offsets) {
    if (isShared(out, [table, rows, offsets])) return shared;
    const names = namesOf(width, table, rows);
    if (typeof names === 'number') return names;
    const begins = readOnce(offsets);
    const bad = firstBadOffset(begins, names.length);
    if (bad !== done) return names.length + bad;
    for (let bag = 0; bag < begins.length; bag++) {
      const begin = begins[bag]!;
      const end = bag + 1 < begins.length ? begins[bag + 1]! : names.length;
      for (let k = 0; k < width; k++) {
        let sum = begin < end ? table[names[begin]! * width + k]! : 0;
        for (let i = begin + 1; i < end; i++) sum = f(sum + table[names[i]! * width + k]!);
        out[bag * width + k] = begin < end ? sum / f(end - begin) : 0;
      }
    }
    return done;
  },
};
