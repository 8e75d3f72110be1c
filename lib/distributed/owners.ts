import { floatsOf } from '../check/typed-array.js';
import type { World } from './world.js';

/** An array and the elements `[begin, end)` that belong to each rank. */
export interface Owned {
  readonly array: Float32Array;
  readonly ranges: readonly (readonly [begin: number, end: number])[];
}

const line = 16;

/**
 * Moves the parts of many arrays between ranks: what belongs to a rank is one stream, so that many small arrays travel
 * together, and every rank sends about as much.
 */
export class Owners {
  readonly #world: World;
  /** The most floats of a rank that travel at once. */
  readonly #most: number;
  /** Kept, because new memory is slow to write. */
  #staging = new Float32Array(0);

  constructor(world: World, bytes: number) {
    this.#world = world;
    const floats = Math.floor(bytes / Float32Array.BYTES_PER_ELEMENT / world.size / line) * line;
    this.#most = Math.max(line, floats);
  }

  /** Sums the arrays over all ranks. Each rank gets the sums of its own part; the rest stays. */
  async reduce(arrays: readonly Owned[]): Promise<void> {
    const { rank } = this.#world;
    await this.#run(arrays, async (streams, begin, staging, each) => {
      for (const [r, stream] of streams.entries())
        stream.copy(begin, floatsOf(staging, r * each, (r + 1) * each), false);
      const own = await this.#world.reduceScatter(staging);
      streams[rank]!.copy(begin, own, true);
    });
  }

  /** Gives the part of each rank to all. */
  async gather(arrays: readonly Owned[]): Promise<void> {
    const { rank } = this.#world;
    await this.#run(arrays, async (streams, begin, staging, each) => {
      streams[rank]!.copy(begin, floatsOf(staging, rank * each, (rank + 1) * each), false);
      await this.#world.allGather(staging);
      for (const [r, stream] of streams.entries())
        if (r !== rank) stream.copy(begin, floatsOf(staging, r * each, (r + 1) * each), true);
    });
  }

  /** Runs rounds until all streams have ended. */
  async #run(
    arrays: readonly Owned[],
    round: (streams: readonly Stream[], begin: number, staging: Float32Array, each: number) => Promise<void>,
  ): Promise<void> {
    const { size } = this.#world;
    if (size === 1) return;
    const streams = Array.from({ length: size }, (_, rank) => new Stream(arrays, rank));
    const longest = Math.max(...streams.map(({ length }) => length));
    const each = Math.min(this.#most, Math.ceil(longest / line) * line);
    if (this.#staging.length < size * each) this.#staging = new Float32Array(size * each);
    const staging = floatsOf(this.#staging, 0, size * each);
    for (let at = 0; at < longest; at += each) {
      await round(streams, at, staging, each);
    }
  }
}

/** What belongs to one rank, in one line. */
class Stream {
  readonly length: number;
  readonly #pieces: readonly { readonly array: Float32Array; readonly at: number }[];

  constructor(arrays: readonly Owned[], rank: number) {
    let length = 0;
    this.#pieces = arrays.flatMap(({ array, ranges }) => {
      const [begin, end] = ranges[rank]!;
      if (begin === end) return [];
      const at = length;
      length += end - begin;
      return [{ array: floatsOf(array, begin, end), at }];
    });
    this.length = length;
  }

  /** Copies what stands from `begin` on into a buffer, or back from it. */
  copy(begin: number, buffer: Float32Array, isBack: boolean): void {
    const end = Math.min(this.length, begin + buffer.length);
    for (let p = this.#pieceAt(begin); p < this.#pieces.length && this.#pieces[p]!.at < end; p++) {
      const { array, at } = this.#pieces[p]!;
      const [from, to] = [Math.max(begin, at), Math.min(end, at + array.length)];
      const here = floatsOf(array, from - at, to - at);
      const there = floatsOf(buffer, from - begin, to - begin);
      if (isBack) here.set(there);
      else there.set(here);
    }
  }

  /** The piece that holds an element. */
  #pieceAt(element: number): number {
    let [low, high] = [0, this.#pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { array, at } = this.#pieces[middle]!;
      if (at + array.length <= element) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
