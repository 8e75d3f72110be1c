import { chunkLength, pieceLength } from './engine.js';
import type { Columns, Vector, Vectors } from './vectors.js';

// The executable specification of native/vectors.cpp and native/kernels/wide.h: the same operations in the same order.
const virtualLanes = 16;
const lanes = new Float64Array(virtualLanes);

/** The part of xᵀy of one chunk. Four lanes at a time: so many sums stay in registers, and the chunk in the cache. */
export function dotOfChunk(x: Vector, y: Vector, begin: number, end: number): number {
  for (let lane = 0; lane < virtualLanes; lane += 4) {
    let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
    let i = begin + lane;
    for (; i + 4 <= end; i += virtualLanes) {
      sum0 += x[i]! * y[i]!;
      sum1 += x[i + 1]! * y[i + 1]!;
      sum2 += x[i + 2]! * y[i + 2]!;
      sum3 += x[i + 3]! * y[i + 3]!;
    }
    if (i < end) sum0 += x[i]! * y[i]!;
    if (i + 1 < end) sum1 += x[i + 1]! * y[i + 1]!;
    if (i + 2 < end) sum2 += x[i + 2]! * y[i + 2]!;
    lanes[lane] = sum0;
    lanes[lane + 1] = sum1;
    lanes[lane + 2] = sum2;
    lanes[lane + 3] = sum3;
  }
  for (let half = virtualLanes / 2; half >= 1; half /= 2) {
    for (let lane = 0; lane < half; lane++) lanes[lane] = lanes[lane]! + lanes[lane + half]!;
  }
  return lanes[0]!;
}

/** xᵀy over the first `length` elements. */
export function dot(x: Vector, y: Vector, length = x.length): number {
  let sum = 0;
  for (let begin = 0; begin < length; begin += chunkLength)
    sum += dotOfChunk(x, y, begin, Math.min(begin + chunkLength, length));
  return sum;
}

/** Rows that are worked on at a time, so that a block of all columns stays in the cache. */
const block = 256;

/** Columns k to k + 3; the last one again where there are fewer. */
function four(columns: Columns, k: number): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const at = (j: number): Float64Array => columns[Math.min(j, columns.length - 1)]!;
  return [at(k), at(k + 1), at(k + 2), at(k + 3)];
}

function addCombination(columns: Columns, weights: Float64Array, x: Float64Array): void {
  for (let k = 0; k < columns.length; k += 4) {
    const [p, q, s, t] = four(columns, k);
    const [wp, wq, ws, wt] = [weights[k]!, weights[k + 1] ?? 0, weights[k + 2] ?? 0, weights[k + 3] ?? 0];
    for (let r = 0; r < x.length; r++) x[r]! += wp * p[r]! + wq * q[r]! + (ws * s[r]! + wt * t[r]!);
  }
}

/** Without the addon, and for vectors too short to be worth a call. */
export const referenceVectors: Vectors = {
  dot: (x, y) => dot(x, y),
  combine(a, x, b, y, out, z) {
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
      if (!(size <= most)) most = size; // a NaN is taken, and then stays: no comparison with it holds
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
    for (const [k, column] of columns.entries()) out[k] = dot(column, x);
  },
  addCombination,
  recombine(columns, q) {
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
