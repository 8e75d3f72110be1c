import { checkInteger } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSteps, checkValue, cosineShare, interpolate } from './common.js';

/** Options of {@link cosine}. */
export interface CosineOptions {
  /** Steps from lr to `min`. An integer in [1, inf). */
  readonly steps: number;
  /** Where it ends. [0, inf), default 0; above lr the cosine rises, as the weight decay of DINO does. */
  readonly min?: number;
}

/**
 * Half a cosine wave from lr to min, then constant (PyTorch's would rise again).
 *
 * Formula: min + (lr − min)·(1 + cos(π·min(k, steps)/steps))/2, k = step − 1.
 *
 * @param lr [0, inf)
 * @param options `steps`, `min`: {@link CosineOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
 * @see Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983; PyTorch's `CosineAnnealingLR`
 * @example
 * ```ts
 * import { cosine } from 'schuss';
 *
 * const lr = cosine(0.1, { steps: 1000 });
 * lr(1); // 0.1
 * lr(501); // 0.05
 * lr(5000); // 0
 * ```
 */
export function cosine(lr: number, options: CosineOptions): Schedule {
  const who = 'cosine';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['steps', 'min']);
  const { steps, min = 0 } = options;
  checkSteps(who, 'steps', steps);
  checkValue(who, 'min', min);
  return (step) => interpolate(lr, min, cosineShare(Math.min(step - 1, steps) / steps));
}

/** Options of {@link cosineWarmRestarts}. */
export interface CosineWarmRestartsOptions {
  /** Steps of the first period. An integer in [1, inf). */
  readonly first: number;
  /** How many times as long as the one before each period is. An integer in [1, inf), default 1. */
  readonly multiplier?: number;
  /** What each period goes down to. [0, inf), default 0. */
  readonly min?: number;
}

/**
 * Half a cosine wave from lr towards min, again and again, each period `multiplier` times as long as the one before.
 *
 * Formula: min + (lr − min)·(1 + cos(π·c/T))/2, c = steps completed in this period, T = its length. It has no end.
 *
 * @param lr [0, inf)
 * @param options `first`, `multiplier`, `min`: {@link CosineWarmRestartsOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
 * @see Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983; PyTorch's `CosineAnnealingWarmRestarts`
 * @example
 * ```ts
 * import { cosineWarmRestarts } from 'schuss';
 *
 * const lr = cosineWarmRestarts(0.1, { first: 10, multiplier: 2 });
 * lr(6); // 0.05
 * lr(11); // 0.1
 * lr(21); // 0.05
 * lr(31); // 0.1
 * ```
 */
export function cosineWarmRestarts(lr: number, options: CosineWarmRestartsOptions): Schedule {
  const who = 'cosineWarmRestarts';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['first', 'multiplier', 'min']);
  const { first, multiplier = 1, min = 0 } = options;
  checkSteps(who, 'first', first);
  checkInteger(who, 'multiplier', multiplier, '[1, inf)');
  checkValue(who, 'min', min);
  return (step) => {
    let completed = step - 1;
    let length = first;
    if (multiplier === 1) completed %= length;
    // Counted, since the period's number by a logarithm can be off by one at a restart; the lengths at least double.
    while (completed >= length) {
      completed -= length;
      length *= multiplier;
    }
    return interpolate(lr, min, cosineShare(completed / length));
  };
}
