import { checkInteger } from '../../check/options.js';

/** Thrown to end a run in the middle of an iteration; never seen outside. */
export class Interruption {
  readonly reason: 'evaluations' | 'aborted';

  constructor(reason: 'evaluations' | 'aborted') {
    this.reason = reason;
  }
}

/** Counts evaluations, and ends a run that has used up its own or was aborted. */
export class Budget {
  /** Evaluations so far. */
  evaluations = 0;
  /** Those among them, or of the sums of them, whose value or gradient was not finite. */
  nonFinite = 0;
  readonly #most: number;
  readonly #signal: AbortSignal | undefined;

  constructor(most: number, signal?: AbortSignal) {
    this.#most = most;
    this.#signal = signal;
  }

  /** To be called before one or more evaluations that belong together. @throws Interruption */
  spend(count = 1): void {
    if (this.#signal?.aborted) throw new Interruption('aborted');
    if (this.evaluations + count > this.#most) throw new Interruption('evaluations');
    this.evaluations += count;
  }
}

/** A limit on a count: an integer from 1 on; Infinity for none. @throws TypeError, RangeError */
export function checkLimit(who: string, argument: string, value: unknown): number {
  return value === Number.POSITIVE_INFINITY ? value : checkInteger(who, argument, value, '[1, inf)');
}
