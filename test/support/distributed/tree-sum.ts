// The order of sums of the contract, written from its words: part i += part i+d for d = 1, 2, 4, … and every i that is a
// multiple of 2d with i + d < size. Null parts add nothing.

const f = Math.fround;

export type Part = readonly number[] | null;

export function treeSum(parts: readonly Part[], round: (x: number) => number = f): Part {
  const sums = [...parts];
  for (let d = 1; d < sums.length; d *= 2)
    for (let i = 0; i + d < sums.length; i += 2 * d) {
      const [left, right] = [sums[i] as Part, sums[i + d] as Part];
      sums[i] = left === null || right === null ? (left ?? right) : left.map((x, j) => round(x + (right[j] as number)));
    }
  return sums[0] ?? null;
}

/** weight · g in float32; null for a weight of 0. */
export function weighted(g: Part, weight: number): Part {
  return g === null || weight === 0 ? null : g.map((x) => f(f(weight) * x));
}
