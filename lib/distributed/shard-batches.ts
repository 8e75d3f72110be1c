import { checkBoolean, checkInteger, checkOptions } from '../check/options.js';
import { microBatchesOfRank } from './gradients/micro-batches.js';
import { checkSeat, type EpochOptions, orderOf, type Seat } from './shard-indices.js';

/** Options of {@link shardBatches}. */
export interface ShardBatchesOptions extends EpochOptions {
  /** Examples of a batch over all ranks, in [1, 2³¹). */
  readonly batch: number;
  /**
   * Parts of a batch over all ranks: the number of ranks times a power of two; in a world of one any number. Default: the
   * number of ranks.
   */
  readonly microBatches?: number | undefined;
  /** Whether a last batch of fewer examples is left out. Default false. */
  readonly dropLast?: boolean | undefined;
}

/**
 * Divides an epoch into batches, and each batch into parts for the ranks.
 *
 * The batches are the same for any number of ranks: `batch` examples each, in the order of {@link shardIndices}. A batch of B
 * examples is divided into `microBatches` parts: part q starts at ⌊q·B/microBatches⌋. Each rank gets `microBatches / size`
 * neighbouring parts. So `DataParallel` with the same `microBatches` gives the same bits on any number of ranks.
 *
 * The parts of the last batch may be uneven or empty: pass `weight: rows.length` to the step.
 *
 * @param n The number of examples, in [0, 2³¹).
 * @param world A {@link World}, or `{ rank, size }`.
 * @param options `batch`, `microBatches` (the number of ranks), `seed` (0), `epoch` (required with `shuffle`), `shuffle`
 *   (true), `dropLast` (false): {@link ShardBatchesOptions}
 * @returns For each batch, the list of this rank's parts. Every rank has the same number of batches.
 * @throws TypeError for a wrong type, an unknown option, or a missing `epoch`; RangeError for a value out of range
 * @example
 * ```ts
 * import { shardBatches } from 'schuss/distributed';
 *
 * const world = { rank: 0, size: 2 };
 * [...shardBatches(5, world, { batch: 4, shuffle: false })]; // [[[0, 1]], [[]]]: rank 1 has [2, 3] and [4]
 * ```
 */
export function shardBatches(n: number, world: Seat, options: ShardBatchesOptions): Iterable<Int32Array[]> {
  const who = 'shardBatches';
  const { rank, size } = checkSeat(who, world);
  checkOptions(who, options, ['batch', 'microBatches', 'seed', 'epoch', 'shuffle', 'dropLast']);
  const { batch, microBatches = size, dropLast = false } = options;
  checkInteger(who, 'batch', batch, '[1, 2147483647]');
  const each = microBatchesOfRank(who, microBatches, size);
  checkBoolean(who, 'dropLast', dropLast);
  const order = orderOf(who, n, options);
  const end = dropLast ? n - (n % batch) : n;
  return {
    *[Symbol.iterator]() {
      for (let begin = 0; begin < end; begin += batch) {
        const count = Math.min(batch, end - begin);
        const cut = (q: number): number => begin + Math.floor((q * count) / microBatches);
        yield Array.from({ length: each }, (_, i) => order.slice(cut(rank * each + i), cut(rank * each + i + 1)));
      }
    },
  };
}
