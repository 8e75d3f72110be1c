import { chunkLength, pieceLength } from './engine.js';
import type { Columns, Linalg, Vector } from './linalg.js';

// The executable specification of native/engine/linalg.cpp and native/kernels/linalg.h: the same operations in the same
// order.

/**
 * Sums every fourth element of a chunk: four of the sixteen lanes, folded twice. Four sums stay in registers, sixteen
 * would not. The chunk stays in the cache between the four passes.
 */
function quarter(x: Vector, y: Vector, begin: number, end: number): number {
  let sum0 = 0;
  let sum4 = 0;
  let sum8 = 0;
  let sum12 = 0;
  let i = begin;
  for (; i + 12 < end; i += 16) {
    sum0 += x[i]! * y[i]!;
    sum4 += x[i + 4]! * y[i + 4]!;
    sum8 += x[i + 8]! * y[i + 8]!;
    sum12 += x[i + 12]! * y[i + 12]!;
  }
  if (i < end) sum0 += x[i]! * y[i]!;
  if (i + 4 < end) sum4 += x[i + 4]! * y[i + 4]!;
  if (i + 8 < end) sum8 += x[i + 8]! * y[i + 8]!;
  return sum0 + sum8 + (sum4 + sum12);
}

/** The partial sum of xᵀy over one chunk: element i goes to lane i mod 16, and the lanes are folded in halves. */
export function dotOfChunk(x: Vector, y: Vector, begin: number, end: number): number {
  const [a, b] = [quarter(x, y, begin, end), quarter(x, y, begin + 1, end)];
  return a + quarter(x, y, begin + 2, end) + (b + quarter(x, y, begin + 3, end));
}

/** xᵀy over the first `length` elements. */
export function dot(x: Vector, y: Vector, length = x.length): number {
  let sum = 0;
  for (let begin = 0; begin < length; begin += chunkLength)
    sum += dotOfChunk(x, y, begin, Math.min(begin + chunkLength, length));
  return sum;
}

/** Rows that are processed together, so that a block of all columns stays in the cache. */
const block = 256;

/** Columns k to k + 3. The last column repeats where there are fewer. */
function four(columns: Columns, k: number): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const at = (j: number): Float64Array => columns[Math.min(j, columns.length - 1)]!;
  return [at(k), at(k + 1), at(k + 2), at(k + 3)];
}

function addCombination(columns: Columns, given: Float64Array, x: Float64Array): void {
  const weights = given.slice(); // x may be the same array
  for (let k = 0; k < columns.length; k += 4) {
    const [p, q, s, t] = four(columns, k);
    const [wp, wq, ws, wt] = [weights[k]!, weights[k + 1] ?? 0, weights[k + 2] ?? 0, weights[k + 3] ?? 0];
    for (let r = 0; r < x.length; r++) x[r]! += wp * p[r]! + wq * q[r]! + (ws * s[r]! + wt * t[r]!);
  }
}

/** Used without the addon, and for vectors that are too short for a native call to pay. */
export const referenceLinalg: Linalg = {
  dot: (x, y) => dot(x, y),
  axpby(a, x, b, y, out, z) {
    for (let i = 0; i < out.length; i++) out[i] = a * x[i]! + b * y[i]!;
    return z === undefined ? 0 : dot(out, z);
  },
  multiply(factor, x, out) {
    for (let i = 0; i < out.length; i++) out[i] = factor * x[i]!;
  },
  maxAbs(x) {
    let most = 0;
    for (let i = 0; i < x.length; i++) {
      const size = Math.abs(x[i]!);
      if (!(size <= most)) most = size; // true for NaN too
      if (Number.isNaN(most)) return most;
    }
    return most;
  },
  maxAbsDifference(x, y) {
    let most = 0;
    for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]! - y[i]!));
    return most;
  },
  project(columns, x, out) {
    out.set(columns.map((column) => dot(column, x))); // written last, because out may be x
  },
  addCombination,
  gemmInPlace(columns, given) {
    const q = given.map((row) => row.slice()); // a row may be one of the columns
    for (let begin = 0; begin < (columns[0]?.length ?? 0); begin += block) {
      const parts = columns.map((column) => column.subarray(begin, begin + block));
      const made = q.map((weights) => {
        const out = new Float64Array(parts[0]!.length);
        addCombination(parts, weights, out);
        return out;
      });
      for (const [k, part] of parts.entries()) {
        const out = made[k];
        if (out === undefined) part.fill(0);
        else part.set(out);
      }
    }
  },
  gram(columns, out) {
    const size = columns.length;
    out.fill(0);
    for (let begin = 0; begin < (columns[0]?.length ?? 0); begin += pieceLength) {
      const end = Math.min(begin + pieceLength, columns[0]!.length);
      for (let i = 0; i < size; i++)
        for (let j = 0; j <= i; j++) out[i * size + j]! += dotOfChunk(columns[i]!, columns[j]!, begin, end);
    }
    for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) out[j * size + i] = out[i * size + j]!;
  },
};
