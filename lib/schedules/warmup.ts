import { checkInteger, checkNumber, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSchedule, checkSteps, checkValue, cosineShare, interpolate } from './common.js';

/** Options of {@link warmup}. */
export interface WarmupOptions {
  /** Steps before the schedule starts. An integer in [0, inf); 0 is no warm-up. */
  readonly steps: number;
  /** Where the line starts, as a factor of the schedule's first value: the one before the first step. [0, 1], default 0. */
  readonly from?: number;
}

/**
 * A straight line up to the schedule's first value, then the schedule from its start.
 *
 * Formula: schedule(1)·(from + (1 − from)·step/steps) while step ≤ steps, then schedule(step − steps);
 * so schedule(1) is played at step `steps` and again at the next.
 *
 * @param schedule any function of the step
 * @param options `steps`, `from`: {@link WarmupOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
 * @see Goyal et al. 2017, https://arxiv.org/abs/1706.02677
 * @example
 * ```ts
 * import { cosine, warmup } from 'schuss';
 *
 * const lr = warmup(cosine(0.1, { steps: 90 }), { steps: 10 });
 * lr(1); // 0.01
 * lr(10); // 0.1
 * lr(56); // 0.05
 * lr(101); // 0
 * ```
 */
export function warmup(schedule: Schedule, options: WarmupOptions): Schedule {
  const who = 'warmup';
  checkSchedule(who, 'schedule', schedule);
  checkKeys(who, options, ['steps', 'from']);
  const { steps, from = 0 } = options;
  checkInteger(who, 'steps', steps, '[0, inf)');
  checkNumber(who, 'from', from, '[0, 1]');
  return (step) => (step <= steps ? schedule(1) * interpolate(from, 1, step / steps) : schedule(step - steps));
}

/** Options of {@link warmupStableDecay}. */
export interface WarmupStableDecayOptions {
  /** Steps up to lr. An integer in [0, inf); 0 is no warm-up. */
  readonly warmup: number;
  /** Steps at lr. An integer in [0, inf). */
  readonly stable: number;
  /** Steps down to `min`. An integer in [1, inf). */
  readonly decay: number;
  /** Where it ends. [0, inf), default 0. */
  readonly min?: number;
  /** The way down: 1 − x, (1 + cos πx)/2 or 1 − √x. Default 'linear'. */
  readonly shape?: 'linear' | 'cosine' | 'sqrt';
}

/** The share of the way down after a share x of the decay's steps. */
const share = { linear: (x: number) => x, cosine: cosineShare, sqrt: Math.sqrt };

/**
 * A trapezoid: up in a straight line, level, and down at the end; training can go on from the level part.
 *
 * Formula: lr·step/warmup while step ≤ warmup; then lr for `stable` steps; then min + (lr − min)·d(x),
 * x = min((step − warmup − stable)/decay, 1), d(x) = 1 − x ('linear'), (1 + cos πx)/2 ('cosine'), 1 − √x ('sqrt').
 *
 * @param lr [0, inf)
 * @param options `warmup`, `stable`, `decay`, `min`, `shape`: {@link WarmupStableDecayOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
 * @see Hägele et al. 2024, https://arxiv.org/abs/2405.18392
 * @example
 * ```ts
 * import { warmupStableDecay } from 'schuss';
 *
 * const lr = warmupStableDecay(0.1, { warmup: 10, stable: 80, decay: 10 });
 * lr(1); // 0.01
 * lr(10); // 0.1
 * lr(90); // 0.1
 * lr(95); // 0.05
 * lr(100); // 0
 * ```
 */
export function warmupStableDecay(lr: number, options: WarmupStableDecayOptions): Schedule {
  const who = 'warmupStableDecay';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['warmup', 'stable', 'decay', 'min', 'shape']);
  const { warmup, stable, decay, min = 0, shape = 'linear' } = options;
  checkInteger(who, 'warmup', warmup, '[0, inf)');
  checkInteger(who, 'stable', stable, '[0, inf)');
  checkSteps(who, 'decay', decay);
  checkValue(who, 'min', min);
  const down = share[checkOneOf(who, 'shape', shape, ['linear', 'cosine', 'sqrt'])];
  return (step) => {
    if (step <= warmup) return (lr * step) / warmup;
    const x = (step - warmup - stable) / decay;
    return x <= 0 ? lr : interpolate(lr, min, down(Math.min(x, 1)));
  };
}
