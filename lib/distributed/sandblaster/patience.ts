// How long ranks that evaluate portions together wait for each other.
import { setTimeout as sleep } from 'node:timers/promises';

/** A portion is dealt again after this many times the usual duration of a portion. */
export const lateness = 2;
/** The longest sleep in milliseconds without a look at the world, which may be broken. */
export const longestSleep = 100;
/** Milliseconds that a rank on which f threw has to end. */
const lastWords = 2000;
/** Milliseconds between two looks for its end. */
const lookEvery = 20;
/**
 * Evaluations whose sums are kept. A rank that is late by less than this takes these sums, instead of computing portions that
 * the others have. After as many evaluations all ranks meet.
 */
export const keptEvaluations = 8;

/**
 * The end of a portion that has failed on another rank.
 * @param check Throws the error of a broken world: the end of that rank says more than that f threw there.
 * @throws (rejects) that, or Error
 */
export async function endWith(who: string, failedRank: number, check: () => void): Promise<never> {
  for (const end = performance.now() + lastWords; performance.now() < end; check()) await sleep(lookEvery);
  throw new Error(`${who}: f threw on rank ${failedRank}`);
}
