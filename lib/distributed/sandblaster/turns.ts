import { setImmediate } from 'node:timers/promises';

/** Milliseconds for which portions may hold the event loop, or one portion if that takes longer. */
const interval = 5;

/** Gives the event loop a turn now and then. */
export class Turns {
  #last = performance.now();

  /** Returns a promise only where a turn is due. */
  give(): Promise<void> | undefined {
    return performance.now() - this.#last < interval ? undefined : this.#turn();
  }

  async #turn(): Promise<void> {
    await setImmediate();
    this.#last = performance.now();
  }
}
