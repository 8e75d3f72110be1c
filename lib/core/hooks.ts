import { checkFunction } from '../check/options.js';

/** Functions that users add to a step and remove again, at any time, also while one of them runs. */
export class Hooks<T> {
  #all: readonly { readonly hook: (value: T) => void }[] = [];

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Adds a hook behind the others. Returns a function that removes it, and does nothing the second time. */
  add(hook: (value: T) => void): () => void {
    const entry = { hook }; // a function that was added twice is removed once
    this.#all = [...this.#all, entry];
    return () => {
      this.#all = this.#all.filter((other) => other !== entry);
    };
  }

  /** Calls the hooks in the order in which they were added. What they add or remove counts from the next step on. */
  run(value: T): void {
    for (const { hook } of this.#all) hook(value);
  }
}

/** Returns `value` if it is a function. @throws TypeError */
export function checkHook<H>(who: string, value: H): H {
  return checkFunction(who, 'hook', value, 'a function');
}
