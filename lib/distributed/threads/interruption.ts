import { constants } from 'node:os';
import { waitAsync } from './rendezvous.js';
import { Word } from './shared.js';

/** The signal that a rank reads: aborted when the launcher has got SIGINT or SIGTERM. */
export class Interruption {
  readonly #words: Int32Array;
  readonly #controller = new AbortController();

  constructor(words: Int32Array) {
    this.#words = words;
    const waiting = waitAsync(words, Word.interrupted, 0);
    if (waiting.async) void waiting.value.then(() => this.#look());
  }

  /** A loop that blocks never gets to the event: so each reading looks at the word. */
  get signal(): AbortSignal {
    this.#look();
    return this.#controller.signal;
  }

  #look(): void {
    const number = Atomics.load(this.#words, Word.interrupted);
    if (number === 0 || this.#controller.signal.aborted) return;
    const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
    this.#controller.abort(new Error(`the launcher got ${name}`));
  }
}
