import { rangeError, show, typeError } from '../check/errors.js';
import { checkFunction, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';

/** The value a share `x` in [0, 1] of the way from `from` to `to`; exact at both ends. */
export function interpolate(from: number, to: number, x: number): number {
  return x === 1 ? to : from + (to - from) * x;
}

/** Half a cosine wave as a share of the way: 0 at x = 0, 1 at x = 1, flat at both. */
export function cosineShare(x: number): number {
  return (1 - Math.cos(Math.PI * x)) / 2;
}

/** How many of `boundaries` lie at or before k. */
export function countReached(boundaries: readonly number[], k: number): number {
  let count = 0;
  for (const boundary of boundaries) if (boundary <= k) count++;
  return count;
}

/** As {@link checkOptions}, where a key that the type of the options lacks is an error of the compiler. */
export function checkKeys<T extends object>(who: string, options: T, known: readonly (keyof T & string)[]): void {
  checkOptions(who, options, known);
}

/** `value` if a schedule can take it: what optimizers schedule is finite and not negative. */
export function checkValue(who: string, argument: string, value: unknown): number {
  return checkNumber(who, argument, value, '[0, inf)');
}

/** `value` if it is a number of steps. */
export function checkSteps(who: string, argument: string, value: unknown): number {
  return checkInteger(who, argument, value, '[1, inf)');
}

/** `value` if it is a function: what it returns is the optimizer's to check, at the step. */
export function checkSchedule(who: string, argument: string, value: Schedule): Schedule {
  return checkFunction(who, argument, value, 'a schedule, (step) => number');
}

/** A copy of `values`, each checked: a schedule stays pure when the caller's array changes later. */
export function checkArray<T>(
  who: string,
  argument: string,
  values: readonly T[],
  check: (who: string, argument: string, value: T) => T,
): T[] {
  if (!Array.isArray(values)) throw typeError(who, argument, show(values), 'an array');
  return Array.from(values, (value, i) => check(who, `${argument}[${i}]`, value));
}

/** A copy of `values` if they are counts of completed steps, which may be 0. */
export function checkBoundaries(who: string, values: readonly number[]): number[] {
  return checkArray(who, 'boundaries', values, (_, argument, value) => checkInteger(who, argument, value, '[0, inf)'));
}

/** Refuses boundaries that go back: the pieces between them are told apart by their order. */
export function checkAscending(who: string, boundaries: readonly number[]): void {
  boundaries.forEach((boundary, i) => {
    const previous = boundaries[i - 1] ?? 0;
    if (boundary < previous)
      throw rangeError(who, `boundaries[${i}]`, show(boundary), `at least ${previous}`, 'in ascending order');
  });
}

/** Refuses an option beside another that says the same in a different way. */
export function checkAbsent(who: string, argument: string, value: unknown, beside: string): void {
  if (value !== undefined) throw typeError(who, argument, show(value), `no ${argument} beside ${beside}`);
}
