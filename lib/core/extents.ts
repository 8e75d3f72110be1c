import { rangeError } from '../check/errors.js';
import { lengthOf } from '../check/typed-array.js';
import type { Engine, Rows } from '../engine/engine.js';

/** The memory of an array. Errors name the array by `path`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
  readonly path: string;
}

/** The addresses from an array's first byte up to, but not including, the byte after its last. */
export function extentOf(
  engine: Engine,
  array: Float32Array | Rows,
  path: string,
  start = engine.address(array),
): Extent {
  return { start, end: start + lengthOf(array) * Float32Array.BYTES_PER_ELEMENT, path };
}

/** The non-empty extents in address order. @throws RangeError if two of them overlap */
export function disjoint(who: string, extents: readonly Extent[]): Extent[] {
  const sorted = extents.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  for (let i = 1; i < sorted.length; i++) {
    const [before, here] = [sorted[i - 1]!, sorted[i]!];
    if (here.start < before.end)
      throw rangeError(who, here.path, `memory shared with ${before.path}`, 'separate memory');
  }
  return sorted;
}

/** The memory of all extents: disjoint, and in address order. */
export function union(extents: readonly Extent[]): Extent[] {
  const sorted = extents.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  const merged: Extent[] = [];
  for (const extent of sorted) {
    const last = merged.at(-1);
    if (last === undefined || last.end < extent.start) merged.push(extent);
    else if (last.end < extent.end) merged[merged.length - 1] = { ...last, end: extent.end };
  }
  return merged;
}

/** Refuses an extent that overlaps one of `sorted`, which are disjoint and in address order. @throws RangeError */
export function checkApart(who: string, extent: Extent, sorted: readonly Extent[]): void {
  const other = overlapping(extent.start, extent.end, sorted);
  if (other !== undefined) throw rangeError(who, extent.path, `memory shared with ${other.path}`, 'separate memory');
}

/** The first of `extents` that overlaps one of `sorted`. */
export function sharing(extents: readonly Extent[], sorted: readonly Extent[]): Extent | undefined {
  return extents.find((extent) => overlapping(extent.start, extent.end, sorted) !== undefined);
}

/** The first of `sorted` that overlaps the memory from `start` to `end`. */
export function overlapping(start: number, end: number, sorted: readonly Extent[]): Extent | undefined {
  if (end === start) return undefined;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.end <= start) low = middle + 1;
    else high = middle;
  }
  const next = sorted[low];
  return next !== undefined && next.start < end ? next : undefined;
}
