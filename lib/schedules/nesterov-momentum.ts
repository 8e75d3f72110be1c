import { checkNumber } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, fromFirstStep } from './common.js';

/** Options of {@link nesterovMomentum}. */
export interface NesterovMomentumOptions {
  /** Upper bound on the momentum. [0, 1), default 0.99. */
  readonly max?: number;
}

/**
 * Sutskever's momentum for Nesterov's method: starts at 1/2 and grows every 250 steps, up to `max`.
 *
 * Formula: min(1 − 2^(−1 − log₂(⌊k/250⌋ + 1)), max), k = step − 1.
 *
 * @param options `max`: {@link NesterovMomentumOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Sutskever, Martens, Dahl & Hinton 2013, eq. 5, https://proceedings.mlr.press/v28/sutskever13.html
 * @example
 * ```ts
 * import { nesterovMomentum } from 'schuss';
 *
 * const momentum = nesterovMomentum({ max: 0.9 });
 * momentum(1); // 0.5
 * momentum(251); // 0.75
 * momentum(10_000); // 0.9
 * ```
 */
export function nesterovMomentum(options: NesterovMomentumOptions = {}): Schedule {
  const who = 'nesterovMomentum';
  checkKeys(who, options, ['max']);
  const { max = 0.99 } = options;
  checkNumber(who, 'max', max, '[0, 1)');
  // 2^(−1 − log₂ n) = 1/(2n), which avoids the rounding of the logarithm.
  return fromFirstStep(who, [{ max }], (step) => Math.min(1 - 1 / (2 * (Math.floor((step - 1) / 250) + 1)), max));
}
