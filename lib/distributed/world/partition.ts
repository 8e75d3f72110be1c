/** Parts begin at multiples of this many elements: whole lines of the cache for float32. */
const block = 16;

/**
 * The part of each rank in an array: `[begin, end)`. Parts begin at multiples of 16 elements, and the first ranks have one
 * block more where the blocks do not divide evenly.
 */
export function partition(length: number, size: number): [begin: number, end: number][] {
  const blocks = Math.ceil(length / block);
  const each = Math.floor(blocks / size);
  const begin = (rank: number): number =>
    Math.min(length, block * (each * rank + Math.min(rank, blocks - each * size)));
  return Array.from({ length: size }, (_, rank) => [begin(rank), begin(rank + 1)]);
}

/** A permutation of the 32-bit integers that leaves no pattern: the finalizer of MurmurHash3. */
function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** An integer in [0, 2³²). A permutation of the ranks for each base, so no two ranks have the same. */
export function rankSeed(base: number, rank: number): number {
  const high = Math.floor(base / 2 ** 32);
  const start = mix(mix(high + 1) ^ (base | 0));
  return mix(start + Math.imul(rank, 0x9e3779b9)) >>> 0;
}
