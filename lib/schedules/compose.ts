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
  fromFirstStep,
} from './common.js';

/**
 * Multiplies two schedules.
 *
 * Formula: a(step)·b(step).
 *
 * @param a any function of the step
 * @param b any function of the step
 * @throws TypeError if one is not a function; wrap a plain number in `constant`
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
  return fromFirstStep('multiply', [a, b], (step) => a(step) * b(step));
}

/** Options of {@link sequence}. */
export interface SequenceOptions {
  /**
   * Numbers of completed steps after which the next schedule starts. One fewer than schedules, each an integer in
   * [0, inf), in ascending order.
   */
  readonly boundaries: readonly number[];
}

/**
 * Runs schedules one after the other. Each starts at its own step 1.
 *
 * Formula: sᵢ(step − bᵢ), where i is the number of boundaries ≤ k = step − 1, b₀ = 0, and bᵢ is boundary number i.
 *
 * @param schedules at least one schedule: any functions of the step
 * @param options `boundaries`: {@link SequenceOptions}
 * @throws TypeError for a wrong type or an unknown option; RangeError for no schedules, a boundary out of range, a
 *   wrong number of boundaries, or boundaries that descend
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
  return fromFirstStep(who, [parts, { boundaries }], (step) => {
    const i = countReached(boundaries, step - 1);
    return (parts[i] as Schedule)(step - (boundaries[i - 1] ?? 0));
  });
}

/**
 * Converts a schedule of epochs to a schedule of steps. The given schedule receives the epoch: 1, 2, ….
 *
 * Formula: schedule(⌊k/stepsPerEpoch⌋ + 1), k = step − 1.
 *
 * @param schedule any function of the epoch
 * @param stepsPerEpoch steps in each epoch, an integer in [1, inf)
 * @throws TypeError for a wrong type, RangeError for a value out of range
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
  return fromFirstStep('perEpoch', [schedule, stepsPerEpoch], (step) =>
    schedule(Math.floor((step - 1) / stepsPerEpoch) + 1),
  );
}
