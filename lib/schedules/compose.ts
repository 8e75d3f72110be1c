import { rangeError } from '../check/errors.js';
import type { Schedule } from '../core/schedule.js';
import {
  checkArray,
  checkAscending,
  checkBoundaries,
  checkKeys,
  checkSchedule,
  checkSteps,
  countReached,
} from './common.js';

/**
 * The product of two schedules.
 *
 * Formula: a(step)·b(step).
 *
 * @param a any function of the step
 * @param b likewise
 * @throws TypeError if one is no function (a plain number wants `constant`)
 * @see PyTorch's `ChainedScheduler`
 * @example
 * ```ts
 * import { cosine, linear, multiply } from 'schuss';
 *
 * const lr = multiply(cosine(0.1, { steps: 100 }), linear(1, { from: 0.5, steps: 10 }));
 * lr(1); // 0.05
 * lr(51); // 0.05
 * ```
 */
export function multiply(a: Schedule, b: Schedule): Schedule {
  checkSchedule('multiply', 'a', a);
  checkSchedule('multiply', 'b', b);
  return (step) => a(step) * b(step);
}

/** Options of {@link sequence}. */
export interface SequenceOptions {
  /** Completed steps after which the next schedule starts: one fewer than schedules, integers in [0, inf), in ascending order. */
  readonly boundaries: readonly number[];
}

/**
 * One schedule after another, each from its own first step.
 *
 * Formula: sᵢ(step − its boundary), i = the number of boundaries ≤ k, k = step − 1.
 *
 * @param schedules at least one function of the step
 * @param options `boundaries`: {@link SequenceOptions}
 * @throws TypeError for another type or an unknown option; RangeError out of range, for a wrong count, or for boundaries that descend
 * @see PyTorch's `SequentialLR`
 * @example
 * ```ts
 * import { constant, cosine, sequence } from 'schuss';
 *
 * const lr = sequence([constant(0.1), cosine(0.5, { steps: 100 })], { boundaries: [20] });
 * lr(20); // 0.1
 * lr(21); // 0.5
 * lr(71); // 0.25
 * ```
 */
export function sequence(schedules: readonly Schedule[], options: SequenceOptions): Schedule {
  const who = 'sequence';
  const parts = checkArray(who, 'schedules', schedules, checkSchedule);
  if (parts.length === 0) throw rangeError(who, 'schedules', 'length 0', 'at least 1');
  checkKeys(who, options, ['boundaries']);
  const boundaries = checkBoundaries(who, options.boundaries);
  if (boundaries.length !== parts.length - 1) {
    throw rangeError(
      who,
      'boundaries',
      `length ${boundaries.length}`,
      `${parts.length - 1}`,
      'one fewer than schedules',
    );
  }
  checkAscending(who, boundaries);
  return (step) => {
    const i = countReached(boundaries, step - 1);
    return (parts[i] as Schedule)(step - (boundaries[i - 1] ?? 0));
  };
}

/**
 * Calls a schedule once an epoch: it sees epochs 1, 2, … where the optimizer counts steps.
 *
 * Formula: schedule(⌊k/stepsPerEpoch⌋ + 1), k = step − 1.
 *
 * @param schedule any function of the epoch
 * @param stepsPerEpoch an integer in [1, inf)
 * @throws TypeError for another type, RangeError out of range
 * @example
 * ```ts
 * import { perEpoch, stepDecay } from 'schuss';
 *
 * const lr = perEpoch(stepDecay(1, { every: 30, factor: 0.5 }), 600);
 * lr(30 * 600); // 1
 * lr(30 * 600 + 1); // 0.5
 * ```
 */
export function perEpoch(schedule: Schedule, stepsPerEpoch: number): Schedule {
  checkSchedule('perEpoch', 'schedule', schedule);
  checkSteps('perEpoch', 'stepsPerEpoch', stepsPerEpoch);
  return (step) => schedule(Math.floor((step - 1) / stepsPerEpoch) + 1);
}
