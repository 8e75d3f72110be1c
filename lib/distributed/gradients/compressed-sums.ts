import { floatsOf } from '../../check/typed-array.js';
import { engine } from '../../engine/backend.js';
import { reduceInOrder } from '../world/ordered-sum.js';
import { OwnWorld } from '../world/own-world.js';
import { type Kept, type Residual, Residuals } from './residuals.js';
import { type Owned, type Stream, Streams } from './stream.js';

/** A gradient to sum, and the elements that each rank sums. */
export interface Compressed extends Owned, Kept {
  readonly residual: Residual;
}

/** What travels at once: as many elements of each rank's stream. */
interface Bucket {
  /** Where it begins in the streams. */
  readonly begin: number;
  readonly bytes: Uint8Array;
  /** The elements of each rank. */
  readonly parts: readonly Uint16Array[];
}

const line = 16;
const bytesOfHalf = Uint16Array.BYTES_PER_ELEMENT;

/**
 * Sums arrays over all ranks as bfloat16, with error feedback:
 *
 * ```
 * each rank:         x = g + e;  q = bfloat16(x);  e ← x − q;  q travels to the rank that owns the element
 * the owner:         y = Σ q + d, in float32 and the order of the world;  p = bfloat16(y);  d ← y − p;  p travels to all
 * ```
 * e and d are the {@link Residuals}. They change when the step is applied: see {@link commit}.
 */
export class CompressedSums {
  readonly residuals: Residuals;
  readonly #world: OwnWorld;
  /** The most elements of a rank that travel at once. */
  readonly #most: number;
  /** Memory of two buckets: one travels, and the next is written. Kept, because new memory is slow to write. */
  readonly #staging = [new Uint16Array(0), new Uint16Array(0)];
  /** What all ranks have of this rank's elements. */
  #floats = new Float32Array(0);
  readonly #streams: Streams<Compressed>;
  #changed: readonly Residual[] = [];

  constructor(world: OwnWorld, bytes: number) {
    this.#world = world;
    this.residuals = new Residuals(world);
    this.#streams = new Streams(world.size, (a, b) => a.residual === b.residual);
    this.#most = Math.max(line, Math.floor(bytes / bytesOfHalf / world.size / line) * line);
  }

  /**
   * Sums the arrays.
   *
   * @param factor What the step multiplies the sums by.
   * @param isWhole Whether every rank gets all sums, or its own only.
   */
  async sum(given: readonly (Owned & Kept)[], factor: number, isWhole: boolean): Promise<void> {
    const { rank } = this.#world;
    const all = given.map((param): Compressed => ({ ...param, residual: this.residuals.of(param) }));
    this.#changed = all.map(({ residual }) => residual);
    for (const residual of this.#changed) residual.begin(factor);
    const streams = this.#streams.of(all);
    const buckets = this.#bucketsOf(Math.max(...streams.map(({ length }) => length)));
    const taken = isWhole ? streams : streams.map((stream, r) => (r === rank ? stream : undefined));
    for (const [b, bucket] of buckets.entries()) {
      if (b === 0) roundContributions(streams, bucket);
      const travel = OwnWorld.allToAll(this.#world, bucket.bytes);
      // Meanwhile this thread is free: the last bucket is taken out of its memory, and the next one put there.
      if (b > 0) take(taken, buckets[b - 1]!);
      if (b + 1 < buckets.length) roundContributions(streams, buckets[b + 1]!);
      await travel;
      this.#roundSums(streams[rank]!, bucket);
      if (isWhole) await this.#world.allGather(bucket.bytes);
    }
    if (buckets.length > 0) take(taken, buckets.at(-1)!);
  }

  #bucketsOf(longest: number): Bucket[] {
    const { size } = this.#world;
    const each = Math.min(this.#most, Math.ceil(longest / line) * line);
    const count = longest === 0 ? 0 : Math.ceil(longest / each);
    for (let i = 0; i < Math.min(2, count); i++)
      if (this.#staging[i]!.length < size * each) this.#staging[i] = new Uint16Array(size * each);
    if (this.#floats.length < size * each) this.#floats = new Float32Array(size * each);
    return Array.from({ length: count }, (_, b) => {
      const memory = this.#staging[b % 2]!;
      return {
        begin: b * each,
        bytes: new Uint8Array(memory.buffer, 0, bytesOfHalf * size * each),
        parts: Array.from({ length: size }, (_, r) => memory.subarray(r * each, (r + 1) * each)),
      };
    });
  }

  /** Sums what all ranks have of this rank's elements, and puts the rounded sums into its part. */
  #roundSums(own: Stream<Compressed>, { begin, parts }: Bucket): void {
    const { rank } = this.#world;
    const each = parts[rank]!.length;
    const floats = parts.map((_, r) => floatsOf(this.#floats, r * each, (r + 1) * each));
    for (const [r, part] of parts.entries()) engine().bfloat16.expand(part, floats[r]!);
    reduceInOrder(floats, 'sum');
    own.visit(begin, each, ({ ranges, residual: { sums, ratio, next } }, from, to, at) => {
      const [first] = ranges[rank]!;
      engine().bfloat16.compress(
        floatsOf(floats[0]!, at, at + to - from),
        floatsOf(sums, from - first, to - first),
        ratio,
        parts[rank]!.subarray(at, at + to - from),
        floatsOf(next.sums, from - first, to - first),
      );
    });
  }

  /** The step with these sums was applied. */
  commit(): void {
    for (const residual of this.#changed) residual.commit();
    this.#changed = [];
  }

  /** The step was not applied. */
  drop(): void {
    this.#changed = [];
  }
}

/** Puts the rounded gradients of this rank into a bucket. */
function roundContributions(streams: readonly Stream<Compressed>[], { begin, parts }: Bucket): void {
  for (const [r, stream] of streams.entries())
    stream.visit(begin, parts[r]!.length, ({ array, residual: { contributions, ratio, next } }, from, to, at) => {
      engine().bfloat16.compress(
        floatsOf(array, from, to),
        floatsOf(contributions, from, to),
        ratio,
        parts[r]!.subarray(at, at + to - from),
        floatsOf(next.contributions, from, to),
      );
    });
}

/** Takes the sums out of a bucket. */
function take(streams: readonly (Stream<Compressed> | undefined)[], { begin, parts }: Bucket): void {
  for (const [r, stream] of streams.entries())
    stream?.visit(begin, parts[r]!.length, ({ array }, from, to, at) => {
      engine().bfloat16.expand(parts[r]!.subarray(at, at + to - from), floatsOf(array, from, to));
    });
}
