import { show, typeError } from '../../check/errors.js';
import { checkBoolean, checkNumber, checkOneOf, checkOptions } from '../../check/options.js';
import { checkWorld } from '../check-world.js';
import type { Facts } from '../differences.js';
import { refuseOptions } from '../foreign-names.js';
import { CompressedSums } from '../gradients/compressed-sums.js';
import { microBatchesOfRank } from '../gradients/micro-batches.js';
import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';

/** Options of `DataParallel.create` and `ShardedOptimizer.create`. */
export interface DistributionOptions {
  /**
   * The micro-batches of a step over all ranks: the number of ranks times a power of two; in a world of one any number.
   * Each rank brings up to `microBatches / size`. Then every number of ranks that divides it gives the same bits, unless `compression` rounds. Default:
   * any number a rank.
   */
  readonly microBatches?: number | undefined;
  /** The most bytes that travel at once, in [64, ∞); default 25e6. It does not change the result. */
  readonly bucketBytes?: number | undefined;
  /**
   * Whether all ranks get rank 0's params and state, default true. With false they must be alike, and their hashes are
   * compared.
   */
  readonly broadcast?: boolean | undefined;
  /**
   * `'bf16'`: dense gradients and their sums travel as bfloat16, half the bytes. What rounding loses is added in the next step;
   * it is state, and is saved. Sparse gradients travel as they are. Default `'none'`. With it the result
   * depends on the number of ranks, with `microBatches` too.
   */
  readonly compression?: 'none' | 'bf16' | undefined;
}

/** Their names. */
export const ownOptions = ['microBatches', 'bucketBytes', 'broadcast', 'compression'];

/** Checks the options of a distributed optimizer. Returns them as facts, too. @throws TypeError, RangeError */
export function checkDistribution(
  who: string,
  world: World,
  options: DistributionOptions,
): {
  readonly most: number;
  readonly bucketBytes: number;
  readonly broadcast: boolean;
  readonly compressed: CompressedSums | undefined;
  readonly facts: Facts;
} {
  checkWorld(who, world);
  refuseOptions(who, options, { findunusedparameters: 'none: give null for a param without a gradient' });
  checkOptions(who, options, ownOptions);
  const { microBatches, bucketBytes = 25e6, broadcast = true, compression = 'none' } = options as DistributionOptions;
  const most =
    microBatches === undefined ? Number.POSITIVE_INFINITY : microBatchesOfRank(who, microBatches, world.size);
  checkNumber(who, 'bucketBytes', bucketBytes, '[64, inf)');
  checkBoolean(who, 'broadcast', broadcast);
  const isCompressed = checkOneOf(who, 'compression', compression, ['none', 'bf16']) === 'bf16';
  if (isCompressed && !(world instanceof OwnWorld))
    throw typeError(who, 'world', show(world), 'the World that init() returned, with compression "bf16"');
  const compressed = isCompressed ? new CompressedSums(world as OwnWorld, bucketBytes) : undefined;
  const facts = Object.entries({ microBatches, bucketBytes, broadcast, compression });
  return { most, bucketBytes, broadcast, compressed, facts: facts.map(([name, value]) => [name, String(value)]) };
}
