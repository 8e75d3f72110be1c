import { warnOnce } from '../check/warn-once.js';

/** Steps after which a `d` that still is d0 is worth a warning. */
const patience = 100;

/** The `lr` of a method that finds its learning rate. */
const usualRate = 1;

interface Group {
  readonly d0: number;
  /** A number or a Schedule, which is not called here. */
  readonly lr: unknown;
}

/** Warns, once for each class and d0, that the estimate of a learning-rate-free method has not grown. */
export function warnIfStuck(
  optimizer: { readonly stepCount: number; readonly d: number; readonly paramGroups: readonly Group[] },
  name: string,
): void {
  if (optimizer.stepCount !== patience) return;
  const { d0, lr } = optimizer.paramGroups[0]!;
  if (optimizer.d !== d0) return;
  const cure =
    typeof lr === 'number' && lr < usualRate / 2
      ? `The lr is ${lr}: ${name} finds the learning rate itself, so leave it at ${usualRate}`
      : 'Set d0 to another order of magnitude, or check that the gradients are not 0';
  const stuck = `${name}: d is still d0, ${d0}, after ${patience} steps: the steps are far too short`;
  warnOnce('SCHUSS_D_STUCK', `${stuck}. ${cure}`);
}
