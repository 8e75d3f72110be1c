import { warnOnce } from '../check/warn-once.js';

/** Steps after which a `d` that still is d0 is worth a warning. */
const patience = 100;

/** Warns, once for each class and d0, that the estimate of a learning-rate-free method has not grown. */
export function warnIfStuck(name: string, stepCount: number, d: number, d0: number | undefined): void {
  if (stepCount !== patience || d !== d0) return;
  warnOnce(
    'SCHUSS_D_STUCK',
    `${name}: d is still d0, ${d0}, after ${patience} steps: the steps are far too short. Set d0 to another order of magnitude, or check that the gradients are not 0`,
  );
}
