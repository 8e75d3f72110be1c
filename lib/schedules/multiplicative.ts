import type { Schedule } from '../core/schedule.js';
import { checkSchedule, checkValue, fromFirstStep } from './common.js';

/**
 * Multiplies by a factor after each step, which a function gives.
 *
 * Formula: lr·factor(1)·factor(2)⋯factor(k), k = step − 1. So factor(k) leads from the value of step k to that of the
 * next one, as in PyTorch.
 *
 * The first call computes the whole product; a call for a later step continues from there.
 *
 * @param lr the value at step 1, [0, inf)
 * @param factor a pure function of the number of completed steps: 1, 2, …
 * @throws TypeError for a wrong type, RangeError for a value out of range
 * @see PyTorch's `MultiplicativeLR`
 * @example
 * ```ts
 * import { multiplicative } from 'schuss';
 *
 * const lr = multiplicative(1, (completed) => (completed < 3 ? 0.5 : 1));
 * lr(1); // 1
 * lr(2); // 0.5
 * lr(3); // 0.25
 * lr(1000); // 0.25
 * ```
 */
export function multiplicative(lr: number, factor: (completedSteps: number) => number): Schedule {
  const who = 'multiplicative';
  checkValue(who, 'lr', lr);
  checkSchedule(who, 'factor', factor);
  // The product so far. The value depends only on the step, because every product is formed in the same order.
  let completed = 0;
  let value = lr;
  return fromFirstStep(who, [lr, factor], (step) => {
    if (step <= completed) {
      completed = 0;
      value = lr;
    }
    while (completed + 1 < step) {
      value *= factor(completed + 1);
      completed++;
    }
    return value;
  });
}
