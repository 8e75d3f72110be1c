import { isAborted, onAbort, reasonOf } from '../core/step-queue.js';
import { soon } from '../engine/soon.js';
import { type Budget, Interruption } from './evaluation.js';
import { isThenable, type Task } from './task.js';

/**
 * A task holds the event loop for about this many milliseconds, or for one evaluation if that takes longer. With half
 * of 10 ms, evaluations up to 5 ms long add up to at most 10 ms.
 */
const turnInterval = 5;
/** The longest delay of a timer in milliseconds. A longer one would fire at once. */
const maxDelay = 2 ** 31 - 1;

/** The waits of one task: it awaits the user's promises, and gives the event loop a turn in between. */
export class Waits {
  #signal: AbortSignal | undefined;
  #budget: Budget | undefined;
  #lastTurn = performance.now();
  /** Ends the current wait early. */
  #interrupt: ((reason: unknown) => void) | undefined;
  #stopListening = (): void => {};

  /** What ends a wait early. The task calls this once, before it waits. */
  watch(signal: AbortSignal | undefined, budget: Budget): void {
    this.#signal = signal;
    this.#budget = budget;
    if (signal !== undefined) this.#stopListening = onAbort(signal, () => this.#interrupt?.(reasonOf(signal)));
  }

  /** Whether the task must yield, although it has the value: the event loop is due for a turn. */
  get isDue(): boolean {
    return performance.now() - this.#lastTurn >= turnInterval;
  }

  /** Runs a task to its end. @throws what the task throws, or the signal's reason */
  async run<T>(task: Task<T>): Promise<T> {
    try {
      let step = task.next();
      while (step.done !== true) {
        let value: unknown;
        try {
          value = await this.#wait(step.value);
        } catch (error) {
          step = task.throw(error);
          continue;
        }
        step = task.next(value);
      }
      return step.value;
    } finally {
      this.#stopListening();
    }
  }

  async #wait(value: unknown): Promise<unknown> {
    const awaited = isThenable(value) ? await this.#orInterrupted(value) : value;
    if (this.isDue) {
      await new Promise<void>((resolve) => soon(resolve));
      this.#lastTurn = performance.now();
    }
    return awaited;
  }

  /** The value of the user's promise. Does not wait for one that outlasts the signal or the time. */
  async #orInterrupted(promise: PromiseLike<unknown>): Promise<unknown> {
    if (this.#signal !== undefined && isAborted(this.#signal)) throw reasonOf(this.#signal);
    const left = (this.#budget?.deadline ?? Number.POSITIVE_INFINITY) - performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#interrupt = reject;
        if (left <= maxDelay) timer = setTimeout(() => reject(new Interruption('time')), Math.max(0, Math.ceil(left)));
        Promise.resolve(promise).then(resolve, reject);
      });
    } finally {
      this.#interrupt = undefined;
      clearTimeout(timer);
    }
  }
}
