import { checkInteger } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSteps, checkValue, cosineRise, fromFirstStep, interpolate } from './common.js';

/** Options of {@link cosine}. */
export interface CosineOptions {
  /** Number of steps from lr to `min`. An integer in [1, inf). */
  readonly steps: number;
  /** The final value. [0, inf), default 0. If it is above lr, the cosine rises, like the weight decay of DINO. */
  readonly min?: number;
}

/**
 * Decays from lr to min along half a cosine wave, then stays constant. PyTorch's schedule would rise again.
 *
 * Formula: min + (lr − min)·(1 + cos(π·min(k, steps)/steps))/2, k = step − 1.
 *
 * @param lr the value at step 1, [0, inf)
 * @param options `steps`, `min`: {@link CosineOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
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
  return fromFirstStep(who, [lr, { steps, min }], (step) =>
    interpolate(lr, min, cosineRise(Math.min(step - 1, steps) / steps)),
  );
}

/** Options of {@link cosineWarmRestarts}. */
export interface CosineWarmRestartsOptions {
  /** Number of steps in the first period. An integer in [1, inf). */
  readonly first: number;
  /** Length of each period divided by the length of the previous one. An integer in [1, inf), default 1. */
  readonly multiplier?: number;
  /** The value that each period decays to. [0, inf), default 0. */
  readonly min?: number;
}

/**
 * Decays from lr towards min along half a cosine wave, then restarts at lr. Each period is `multiplier` times as long
 * as the previous one.
 *
 * Formula: min + (lr − min)·(1 + cos(π·c/T))/2, c = steps completed in the current period, T = its length. It restarts
 * forever.
 *
 * @param lr the value at step 1, [0, inf)
 * @param options `first`, `multiplier`, `min`: {@link CosineWarmRestartsOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
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
  return fromFirstStep(who, [lr, { first, multiplier, min }], (step) => {
    let completed = step - 1;
    let length = first;
    if (multiplier === 1) completed %= length;
    // A loop, because computing the period's number by a logarithm can be off by one at a restart. The loop is short,
    // because the lengths at least double.
    while (completed >= length) {
      completed -= length;
      length *= multiplier;
    }
    return interpolate(lr, min, cosineRise(completed / length));
  });
}
