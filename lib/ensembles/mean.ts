/** Adds `weight` times `length` elements of a member, from `begin` on, to `sum`. */
export type Add = (sum: Float64Array, member: Float32Array, begin: number, length: number, weight: number) => void;

const add: Add = (sum, member, begin, length, weight) => {
  for (let i = 0; i < length; i++) sum[i] = sum[i]! + weight * member[begin + i]!;
};

/** Adds the members' elements from `begin` on, each times its weight, in float64; one of weight 0 takes no part, NaN or not. */
export function addAll(
  addOne: Add,
  sum: Float64Array,
  members: readonly Float32Array[],
  weights: Float64Array,
  begin: number,
  length: number,
): void {
  for (let m = 0; m < members.length; m++) {
    if (weights[m] !== 0) addOne(sum, members[m]!, begin, length, weights[m]!);
  }
}

/** Few enough to stay in the first-level cache, many enough to make the calls cheap. */
const defaultBlock = 1024;

/**
 * Writes the weighted mean of the members to `out`, rounded once. A block is read from every member before it is
 * written, so `out` may be one of them.
 */
export function weightedMean(
  members: readonly Float32Array[],
  weights: Float64Array,
  out: Float32Array,
  addOne = add,
  block = defaultBlock,
): Float32Array {
  // Against the largest, no sum overflows, and equal weights are exactly 1.
  const largest = weights.reduce((a, b) => Math.max(a, b));
  const values = weights.map((weight) => weight / largest);
  const total = values.reduce((a, b) => a + b);
  const sum = new Float64Array(Math.min(block, out.length));
  for (let begin = 0; begin < out.length; begin += block) {
    const length = Math.min(block, out.length - begin);
    sum.fill(0);
    addAll(addOne, sum, members, values, begin, length);
    for (let i = 0; i < length; i++) out[begin + i] = sum[i]! / total;
  }
  return out;
}
