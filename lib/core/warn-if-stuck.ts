import { warnOnce } from '../check/warn-once.js';

/** Steps after which a `d` that still is d0 is worth a warning. */
const patience = 100;

/** The `lr` of a method that finds its learning rate. */
const usualRate = 1;

/** Warns, once for each class and d0, that the estimate of a learning-rate-free method has not grown. */
export function warnIfStuck(
  optimizer: { readonly stepCount: number; readonly lr: number; readonly d: number },
  name: string,
  d0: number | undefined,
): void {
  if (optimizer.stepCount !== patience || optimizer.d !== d0) return;
  const { lr } = optimizer; // may call a schedule
  const cure =
    lr < usualRate / 2
      ? `The lr is ${lr}: ${name} finds the learning rate itself, so leave it at ${usualRate}`
      : 'Set d0 to another order of magnitude, or check that the gradients are not 0';
  const stuck = `${name}: d is still d0, ${d0}, after ${patience} steps: the steps are far too short`;
  warnOnce('SCHUSS_D_STUCK', `${stuck}. ${cure}`);
}
