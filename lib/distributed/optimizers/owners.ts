import { floatsOf, lengthOf } from '../../check/typed-array.js';
import { type Owned, type Stream, Streams } from '../gradients/stream.js';
import type { World } from '../world/world.js';

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
  readonly #reduced: Streams;
  readonly #gathered: Streams;

  constructor(world: World, bytes: number) {
    this.#world = world;
    this.#reduced = new Streams(world.size);
    this.#gathered = new Streams(world.size);
    const floats = Math.floor(bytes / Float32Array.BYTES_PER_ELEMENT / world.size / line) * line;
    this.#most = Math.max(line, floats);
  }

  /** Sums the arrays over all ranks. Each rank gets the sums of its own part; the rest stays. */
  async reduce(arrays: readonly Owned[]): Promise<void> {
    const { rank } = this.#world;
    await this.#run(this.#reduced.of(arrays), async (streams, begin, staging, each) => {
      for (const [r, stream] of streams.entries())
        copy(stream, begin, floatsOf(staging, r * each, (r + 1) * each), false);
      const own = await this.#world.reduceScatter(staging);
      copy(streams[rank]!, begin, own, true);
    });
  }

  /**
   * Gives the part of each rank to all. An array that was transferred or shrunk meanwhile does not hold up the other ranks: they
   * get NaN from this one. `isUsual`: the same arrays as in most calls.
   */
  async gather(arrays: readonly Owned[], isUsual = false): Promise<void> {
    const { rank, size } = this.#world;
    const streams = isUsual ? this.#gathered : new Streams(size);
    await this.#run(streams.of(arrays), async (streams, begin, staging, each) => {
      copy(streams[rank]!, begin, floatsOf(staging, rank * each, (rank + 1) * each), false);
      await this.#world.allGather(staging);
      for (const [r, stream] of streams.entries())
        if (r !== rank) copy(stream, begin, floatsOf(staging, r * each, (r + 1) * each), true);
    });
  }

  /** Runs rounds until all streams have ended. */
  async #run(
    streams: readonly Stream[],
    round: (streams: readonly Stream[], begin: number, staging: Float32Array, each: number) => Promise<void>,
  ): Promise<void> {
    const { size } = this.#world;
    if (size === 1) return;
    const longest = Math.max(...streams.map(({ length }) => length));
    const each = Math.min(this.#most, Math.ceil(longest / line) * line);
    if (this.#staging.length < size * each) this.#staging = new Float32Array(size * each);
    const staging = floatsOf(this.#staging, 0, size * each);
    for (let at = 0; at < longest; at += each) {
      await round(streams, at, staging, each);
    }
  }
}

/** Copies what stands in a stream from `begin` on into a buffer, or back from it. */
function copy(stream: Stream, begin: number, buffer: Float32Array, isBack: boolean): void {
  stream.visit(begin, buffer.length, ({ array }, from, to, at) => {
    const there = floatsOf(buffer, at, at + to - from);
    const here = lengthOf(array) < to ? undefined : floatsOf(array, from, to);
    if (!isBack) here === undefined ? there.fill(Number.NaN) : there.set(here);
    else here?.set(there);
  });
}
