import { floatsOf } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import { reduceInOrder } from './ordered-sum.js';
import { OwnWorld } from './own-world.js';
import { type Kept, Residuals } from './residuals.js';
import { type Owned, Stream } from './stream.js';

/** A gradient to sum, and the elements that each rank sums. */
export type Compressed = Owned & Kept;

const line = 16;

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
  /** Kept, because new memory is slow to write. */
  #staging = new Uint16Array(0);
  #sums = new Float32Array(0);
  #changed: readonly Compressed[] = [];

  constructor(world: OwnWorld, bytes: number) {
    this.#world = world;
    this.residuals = new Residuals(world);
    const most = Math.floor(bytes / Uint16Array.BYTES_PER_ELEMENT / world.size / line) * line;
    this.#most = Math.max(line, most);
  }

  /**
   * Sums the arrays.
   *
   * @param factor What the step multiplies the sums by.
   * @param isWhole Whether every rank gets all sums, or its own only.
   */
  async sum(all: readonly Compressed[], factor: number, isWhole: boolean): Promise<void> {
    const { rank, size } = this.#world;
    const streams = Array.from({ length: size }, (_, r) => new Stream(all, r));
    const longest = Math.max(...streams.map(({ length }) => length));
    const each = Math.min(this.#most, Math.ceil(longest / line) * line);
    if (this.#staging.length < size * each) this.#staging = new Uint16Array(size * each);
    if (this.#sums.length < size * each) this.#sums = new Float32Array(size * each);
    const bytes = new Uint8Array(this.#staging.buffer, 0, Uint16Array.BYTES_PER_ELEMENT * size * each);
    const parts = Array.from({ length: size }, (_, r) => ({
      stream: streams[r] as Stream<Compressed>,
      halves: this.#staging.subarray(r * each, (r + 1) * each),
      floats: floatsOf(this.#sums, r * each, (r + 1) * each),
    }));
    const own = parts[rank]!;
    const ratios = new Map(all.map((param) => [param.key, this.residuals.of(param).begin(factor)]));
    this.#changed = all;
    for (let begin = 0; begin < longest; begin += each) {
      for (const { stream, halves } of parts)
        stream.visit(begin, each, (param, from, to, at) => {
          const { contributions, next } = this.residuals.of(param);
          const count = to - from;
          engine().bfloat16.compress(
            floatsOf(param.array, from, to),
            floatsOf(contributions, from, to),
            ratios.get(param.key)!,
            halves.subarray(at, at + count),
            floatsOf(next.contributions, from, to),
          );
        });
      await OwnWorld.allToAll(this.#world, bytes);
      for (const { halves, floats } of parts) engine().bfloat16.expand(halves, floats);
      reduceInOrder(
        parts.map(({ floats }) => floats),
        'sum',
      );
      own.stream.visit(begin, each, (param, from, to, at) => {
        const { sums, next } = this.residuals.of(param);
        const [first] = param.ranges[rank]!;
        const count = to - from;
        engine().bfloat16.compress(
          floatsOf(this.#sums, at, at + count),
          floatsOf(sums, from - first, to - first),
          ratios.get(param.key)!,
          own.halves.subarray(at, at + count),
          floatsOf(next.sums, from - first, to - first),
        );
      });
      if (isWhole) await this.#world.allGather(bytes);
      for (const { stream, halves } of isWhole ? parts : [own])
        stream.visit(begin, each, ({ array }, from, to, at) => {
          engine().bfloat16.expand(halves.subarray(at, at + to - from), floatsOf(array, from, to));
        });
    }
  }

  /** The step with these sums was applied. */
  commit(): void {
    for (const param of this.#changed) this.residuals.of(param).commit();
    this.#changed = [];
  }

  /** The step was not applied. */
  drop(): void {
    this.#changed = [];
  }
}
