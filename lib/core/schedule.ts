/**
 * A hyper-parameter as a pure function of the step number, which is 1 for the first step. Any function of this type is a
 * schedule. `schuss` has the usual ones (`cosine`, `warmup`, …).
 *
 * @example
 * ```ts
 * import { type Schedule, SGD } from 'schuss';
 * const halving: Schedule = (step) => 0.1 * 0.5 ** Math.floor((step - 1) / 1000);
 * new SGD(new Float32Array(10), { lr: halving });
 * ```
 */
export type Schedule = (step: number) => number;

/** The function that made a schedule, and its arguments. */
export interface Made {
  readonly name: string;
  readonly args: readonly unknown[];
}

const made = new WeakMap<Schedule, Made>();

/** How a schedule of ours was made. undefined for a function of the user. */
export function howMade(schedule: Schedule): Made | undefined {
  return made.get(schedule);
}

/** Notes how a schedule was made. */
export function noteMade(schedule: Schedule, how: Made): void {
  made.set(schedule, how);
}
