import { checkInteger } from '../check/options.js';
import { isAborted, reasonOf } from '../core/step-queue.js';
import { maxAbs, type Vector } from './linalg.js';
import type { MaybeTask } from './task.js';

/**
 * Returns the value at x and writes the gradient at x to `grad`. An exception of the user's function passes through.
 */
export type Evaluate = (x: Vector, grad: Vector) => MaybeTask<number>;

/** Whether the value and all elements of the gradient are finite. */
export function isFinitePoint(value: number, grad: Vector): boolean {
  return Number.isFinite(value) && Number.isFinite(maxAbs(grad));
}

type Limit = 'evaluations' | 'time' | 'aborted';

/** Thrown to end a run during an iteration. Always caught inside the library. */
export class Interruption {
  readonly reason: Limit;

  constructor(reason: Limit) {
    this.reason = reason;
  }
}

/** What ends a run from outside. */
export interface Limits {
  readonly maxEvaluations: number;
  /** In milliseconds, from the creation of the {@link Budget} on. */
  readonly maxTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether an aborted signal throws its reason instead of an {@link Interruption}. */
  readonly throwsReason?: boolean | undefined;
}

/** Counts evaluations. Ends the run when a limit is reached or the signal is aborted. */
export class Budget {
  /** Evaluations so far. */
  evaluations = 0;
  /** Evaluations with a value or gradient that was not finite. A sum of terms counts once. The owner counts here. */
  nonFinite = 0;
  readonly #limits: Limits;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.restartClock();
  }

  /** When the time is over, on the clock of `performance.now()`. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Allows `maxTime` from now on. */
  restartClock(): void {
    const { maxTime = Number.POSITIVE_INFINITY } = this.#limits;
    if (maxTime !== Number.POSITIVE_INFINITY) this.#deadline = performance.now() + maxTime;
  }

  /** Call before an evaluation, or before `count` evaluations that form one sum. @throws Interruption */
  reserve(count = 1): void {
    if (this.evaluations + count > this.#limits.maxEvaluations) {
      this.#checkSignal();
      throw new Interruption('evaluations');
    }
  }

  /** Call before each evaluation, after {@link reserve}. The first one may take any time. @throws Interruption */
  spend(): void {
    this.check();
    this.evaluations++;
  }

  /** Call before work that takes long but is no evaluation. @throws Interruption */
  check(): void {
    this.#checkSignal();
    if (this.evaluations > 0 && this.#deadline !== Number.POSITIVE_INFINITY && performance.now() >= this.#deadline)
      throw new Interruption('time');
  }

  /** Ends the run if the signal is aborted. @throws Interruption, or the signal's reason */
  #checkSignal(): void {
    const { signal, throwsReason = false } = this.#limits;
    if (signal !== undefined && isAborted(signal)) throw throwsReason ? reasonOf(signal) : new Interruption('aborted');
  }
}

/** Returns `value` if it is an integer from 1 on, or Infinity for no limit. @throws TypeError, RangeError */
export function checkLimit(who: string, argument: string, value: unknown): number {
  return value === Number.POSITIVE_INFINITY ? value : checkInteger(who, argument, value, '[1, inf)');
}
