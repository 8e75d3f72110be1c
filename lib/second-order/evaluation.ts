import { checkInteger } from '../check/options.js';
import { maxAbs, type Vector } from './linalg.js';

/**
 * Returns the value at x and writes the gradient at x to `grad`. An exception of the user's function passes through.
 */
export type Evaluate = (x: Vector, grad: Vector) => number;

/** Whether the value and all elements of the gradient are finite. */
export function isFinitePoint(value: number, grad: Vector): boolean {
  return Number.isFinite(value) && Number.isFinite(maxAbs(grad));
}

/** Thrown to end a run during an iteration. Always caught inside the library. */
export class Interruption {
  readonly reason: 'evaluations' | 'aborted';

  constructor(reason: 'evaluations' | 'aborted') {
    this.reason = reason;
  }
}

/** Counts evaluations. Ends the run when the limit is reached or the signal is aborted. */
export class Budget {
  /** Evaluations so far. */
  evaluations = 0;
  /** Evaluations with a value or gradient that was not finite. A sum of terms counts once. The owner counts here. */
  nonFinite = 0;
  readonly #maxEvaluations: number;
  readonly #signal: AbortSignal | undefined;

  constructor(maxEvaluations: number, signal?: AbortSignal) {
    this.#maxEvaluations = maxEvaluations;
    this.#signal = signal;
  }

  /** Call before an evaluation, or before `count` evaluations that form one sum. @throws Interruption */
  spend(count = 1): void {
    if (this.#signal?.aborted) throw new Interruption('aborted');
    if (this.evaluations + count > this.#maxEvaluations) throw new Interruption('evaluations');
    this.evaluations += count;
  }
}

/** Returns `value` if it is an integer from 1 on, or Infinity for no limit. @throws TypeError, RangeError */
export function checkLimit(who: string, argument: string, value: unknown): number {
  return value === Number.POSITIVE_INFINITY ? value : checkInteger(who, argument, value, '[1, inf)');
}
