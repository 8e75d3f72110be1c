import { lengthOf } from '../check/typed-array.js';

/** Adds `weight` times `length` elements of a member, starting at `offset`, to the first elements of `sum`. */
export type Add = (sum: Float64Array, member: Float32Array, offset: number, length: number, weight: number) => void;

const addElements: Add = (sum, member, offset, length, weight) => {
  for (let i = 0; i < length; i++) sum[i] = sum[i]! + weight * member[offset + i]!;
};

/** Members with their weights, and how to add one of them. */
export interface WeightedSum {
  readonly members: readonly Float32Array[];
  readonly weights: Float64Array;
  readonly add: Add;
}

/**
 * Adds `length` elements of every member, starting at `offset`, to `sum`, in float64. Skips a member of weight 0, so
 * its NaN does not count.
 */
export function addAll(
  { members, weights, add }: WeightedSum,
  sum: Float64Array,
  offset: number,
  length: number,
): void {
  for (let m = 0; m < members.length; m++) {
    if (weights[m] !== 0) add(sum, members[m]!, offset, length, weights[m]!);
  }
}

/** Small enough for the first-level cache, large enough to make the cost of a call negligible. */
const defaultBlock = 1024;

/**
 * Writes the weighted mean of the members to `out`, rounded once. `out` may be one of the members, because each block
 * is read from every member before it is written.
 */
export function weightedMean(
  members: readonly Float32Array[],
  weights: Float64Array,
  out: Float32Array,
  add = addElements,
  block = defaultBlock,
): Float32Array {
  // Relative to the largest weight, no sum overflows, and equal weights are exactly 1.
  const largest = weights.reduce((a, b) => Math.max(a, b));
  const relative = weights.map((weight) => weight / largest);
  const total = relative.reduce((a, b) => a + b);
  const totalLength = lengthOf(out);
  const sum = new Float64Array(Math.min(block, totalLength));
  for (let offset = 0; offset < totalLength; offset += block) {
    const length = Math.min(block, totalLength - offset);
    sum.fill(0);
    addAll({ members, weights: relative, add }, sum, offset, length);
    for (let i = 0; i < length; i++) out[offset + i] = sum[i]! / total;
  }
  return out;
}
