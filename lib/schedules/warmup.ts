import { checkInteger, checkNumber, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSchedule, checkSteps, checkValue, cosineRise, fromFirstStep, interpolate } from './common.js';

/** Options of {@link warmup}. */
export interface WarmupOptions {
  /** Number of steps before the schedule starts. An integer in [0, inf); 0 means no warm-up. */
  readonly steps: number;
  /**
   * Start of the line, as a fraction of the schedule's first value. It applies to step 0, before the first step.
   * [0, 1], default 0.
   */
  readonly from?: number;
}

/**
 * Rises linearly to the schedule's first value, then runs the schedule from its start.
 *
 * Formula: schedule(1)·(from + (1 − from)·step/steps) while step ≤ steps, then schedule(step − steps). So steps `steps`
 * and `steps` + 1 both have the value schedule(1).
 *
 * @param schedule any function of the step
 * @param options `steps`, `from`: {@link WarmupOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
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
  return fromFirstStep(who, [schedule, { steps, from }], (step) =>
    step <= steps ? schedule(1) * interpolate(from, 1, step / steps) : schedule(step - steps),
  );
}

/** Options of {@link warmupStableDecay}. */
export interface WarmupStableDecayOptions {
  /** Number of steps up to lr. An integer in [0, inf); 0 means no warm-up. */
  readonly warmup: number;
  /** Number of steps at lr. An integer in [0, inf). */
  readonly stable: number;
  /** Number of steps down to `min`. An integer in [1, inf). */
  readonly decay: number;
  /** The final value. [0, inf), default 0. */
  readonly min?: number;
  /** Shape of the decay: 1 − x, (1 + cos πx)/2 or 1 − √x. Default 'linear'. */
  readonly shape?: 'linear' | 'cosine' | 'sqrt';
}

/** Fraction of the decay that is done after a fraction x of its steps. */
const decayShapes = { linear: (x: number) => x, cosine: cosineRise, sqrt: Math.sqrt };

/**
 * Warmup-stable-decay (trapezoidal): rises linearly, stays at lr, and decays at the end. Training can continue from the
 * stable part.
 *
 * Formula: lr·step/warmup while step ≤ warmup; then lr for `stable` steps; then min + (lr − min)·d(x),
 * x = min((step − warmup − stable)/decay, 1), d(x) = 1 − x ('linear'), (1 + cos πx)/2 ('cosine'), 1 − √x ('sqrt').
 *
 * @param lr the value in the stable part, [0, inf)
 * @param options `warmup`, `stable`, `decay`, `min`, `shape`: {@link WarmupStableDecayOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
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
  const decayed = decayShapes[checkOneOf(who, 'shape', shape, ['linear', 'cosine', 'sqrt'])];
  return fromFirstStep(who, [lr, { warmup, stable, decay, min, shape }], (step) => {
    if (step <= warmup) return (lr * step) / warmup;
    const x = (step - warmup - stable) / decay;
    return x <= 0 ? lr : interpolate(lr, min, decayed(Math.min(x, 1)));
  });
}
