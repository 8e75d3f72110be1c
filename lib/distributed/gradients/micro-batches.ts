import { rangeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';

/**
 * Returns the number of micro-batches of a rank. A rank that holds 2^k neighbours holds a whole subtree of the sum, so every
 * world size gives the same bits.
 *
 * @throws TypeError, RangeError
 */
export function microBatchesOfRank(who: string, microBatches: unknown, size: number): number {
  const given = checkInteger(who, 'microBatches', microBatches, '[1, 2147483647]');
  const each = given / size;
  const isPower = Number.isInteger(each) && (each & (each - 1)) === 0;
  if (size > 1 && !isPower)
    throw rangeError(who, 'microBatches', String(given), `${size} (the world size) times a power of two`);
  return each;
}
