import { show, typeError } from '../check/errors.js';
import { checkBoolean, checkInteger, checkOptions } from '../check/options.js';
import { Random } from '../second-order/sfo/random.js';

/** A rank of a world: a {@link World}, or its two numbers. */
export interface Seat {
  readonly rank: number;
  readonly size: number;
}

/** Options of the order of an epoch. */
export interface EpochOptions {
  /** An integer in (−2⁵³, 2⁵³); default 0. Give all ranks the same. */
  readonly seed?: number | undefined;
  /** The number of the epoch, in [0, 2⁵³). Required with `shuffle`. */
  readonly epoch?: number | undefined;
  /** Whether each epoch has an order of its own. Default true. */
  readonly shuffle?: boolean | undefined;
}

/**
 * Returns this rank's part of the numbers 0 … n − 1 in the order of an epoch.
 *
 * The order depends on `n`, `seed` and `epoch` only. Each rank has a contiguous part of it: every index is in exactly one
 * part, and the lengths differ by at most 1. Nothing is padded or dropped.
 *
 * @param n The number of examples, in [0, 2³¹).
 * @param world A {@link World}, or `{ rank, size }`.
 * @param options `seed` (0), `epoch` (required with `shuffle`), `shuffle` (true): {@link EpochOptions}
 * @throws TypeError for a wrong type, an unknown option, or a missing `epoch`; RangeError for a value out of range
 * @remarks The parts depend on the number of ranks. For the same bits on every number of ranks, take
 *   {@link shardBatches}.
 * @see PyTorch's `DistributedSampler` and its `set_epoch`
 * @example
 * ```ts
 * import { shardIndices } from 'schuss/distributed';
 *
 * const world = { rank: 1, size: 2 };
 * shardIndices(5, world, { shuffle: false }); // Int32Array [2, 3, 4]
 * shardIndices(5, world, { seed: 1, epoch: 0 }).length; // 3
 * ```
 */
export function shardIndices(n: number, world: Seat, options: EpochOptions = {}): Int32Array {
  const who = 'shardIndices';
  const { rank, size } = checkSeat(who, world);
  checkOptions(who, options, ['seed', 'epoch', 'shuffle']);
  const order = orderOf(who, n, options);
  const at = (r: number): number => Math.floor((r * n) / size);
  return order.slice(at(rank), at(rank + 1));
}

/** @throws TypeError, RangeError */
export function checkSeat(who: string, world: Seat): Seat {
  if (typeof world !== 'object' || world === null)
    throw typeError(who, 'world', show(world), 'a world or { rank, size }');
  const { rank, size } = world;
  checkInteger(who, 'world.size', size, '[1, inf)');
  checkInteger(who, 'world.rank', rank, `[0, ${size})`);
  return { rank, size };
}

/** The numbers 0 … n − 1 in the order of an epoch. @throws TypeError, RangeError */
export function orderOf(who: string, n: number, { seed = 0, epoch, shuffle = true }: EpochOptions): Int32Array {
  checkInteger(who, 'n', n, '[0, 2147483647]');
  checkInteger(who, 'seed', seed, '[-9007199254740991, 9007199254740991]');
  checkBoolean(who, 'shuffle', shuffle);
  if (epoch !== undefined) checkInteger(who, 'epoch', epoch, '[0, 9007199254740991]');
  else if (shuffle) {
    const hint = 'without it every epoch has the same order; { shuffle: false } keeps the order of the data';
    throw typeError(who, 'epoch', 'undefined', 'the number of the epoch', hint);
  }
  return shuffle ? new Random(seed, `epoch ${epoch}`).permutation(n) : Int32Array.from({ length: n }, (_, i) => i);
}
