import { rangeError, show, typeError } from '../check/errors.js';
import { checkFunction, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { inspect, printed } from '../core/print.js';
import { noteMade, type Schedule } from '../core/schedule.js';

/**
 * A schedule with the name of the function that made it, for printing. Steps before the first one have its value, for
 * callers that count from 0.
 * @param args The arguments of that function, as they were checked, in objects that nobody else has.
 */
export function fromFirstStep(name: string, args: readonly unknown[], schedule: Schedule): Schedule {
  const started: Schedule = (step) => schedule(step < 1 ? 1 : step);
  noteMade(started, { name, args });
  const value = (): string => printed(started);
  return Object.defineProperties(started, { name: { value: name }, toString: { value }, [inspect]: { value } });
}

/** Linear interpolation from `from` at x = 0 to `to` at x = 1. Exact at both ends. */
export function interpolate(from: number, to: number, x: number): number {
  return x === 1 ? to : from + (to - from) * x;
}

/** Half a cosine wave that rises from 0 at x = 0 to 1 at x = 1, with slope 0 at both ends. */
export function cosineRise(x: number): number {
  return (1 - Math.cos(Math.PI * x)) / 2;
}

/** Number of `boundaries` at or before k. */
export function countReached(boundaries: readonly number[], k: number): number {
  let count = 0;
  for (const boundary of boundaries) if (boundary <= k) count++;
  return count;
}

/** Like {@link checkOptions}, but the compiler rejects a key that the type of the options does not have. */
export function checkKeys<T extends object>(who: string, options: T, known: readonly (keyof T & string)[]): void {
  checkOptions(who, options, known);
}

/**
 * Returns `value` if it is finite and not negative, as the scheduled options of optimizers are.
 * @throws TypeError, RangeError
 */
export function checkValue(who: string, argument: string, value: unknown): number {
  return checkNumber(who, argument, value, '[0, inf)');
}

/** Returns `value` if it is a number of steps, at least 1. @throws TypeError, RangeError */
export function checkSteps(who: string, argument: string, value: unknown): number {
  return checkInteger(who, argument, value, '[1, inf)');
}

/**
 * Returns `value` if it is a function. The optimizer checks the result of the function, at each step.
 * @throws TypeError
 */
export function checkSchedule(who: string, argument: string, value: Schedule): Schedule {
  return checkFunction(who, argument, value, 'a schedule, (step) => number');
}

/**
 * Returns a copy of `values` with each element checked. The copy keeps the schedule pure if the caller's array changes
 * later.
 * @throws TypeError, RangeError
 */
export function checkArray<T>(
  who: string,
  argument: string,
  values: readonly T[],
  check: (who: string, argument: string, value: T) => T,
): T[] {
  if (!Array.isArray(values)) throw typeError(who, argument, show(values), 'an array');
  return Array.from(values, (value, i) => check(who, `${argument}[${i}]`, value));
}

/** Returns a copy of `values` if they are numbers of completed steps, 0 allowed. @throws TypeError, RangeError */
export function checkBoundaries(who: string, values: readonly number[]): number[] {
  return checkArray(who, 'boundaries', values, (_, argument, value) => checkInteger(who, argument, value, '[0, inf)'));
}

/** Refuses boundaries that descend. Their order defines the pieces between them. @throws RangeError */
export function checkAscending(who: string, boundaries: readonly number[]): void {
  boundaries.forEach((boundary, i) => {
    const previous = boundaries[i - 1] ?? 0;
    if (boundary < previous)
      throw rangeError(who, `boundaries[${i}]`, show(boundary), `at least ${previous}`, 'in ascending order');
  });
}

/** Refuses an option that conflicts with another. @throws TypeError */
export function checkAbsent(who: string, argument: string, value: unknown, beside: string): void {
  if (value !== undefined) throw typeError(who, argument, show(value), `no ${argument} beside ${beside}`);
}
