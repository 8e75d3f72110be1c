import type { Term } from './term.js';

/**
 * The terms of the sum that are active, in the order of their indices. The others take no memory: they are all alike
 * until they join.
 */
export class ActiveTerms {
  /** Number of all terms. */
  readonly N: number;
  #active: Term[] = [];

  constructor(N: number) {
    this.N = N;
  }

  get active(): readonly Term[] {
    return this.#active;
  }

  /** Number of terms that are not active. */
  get inactiveCount(): number {
    return this.N - this.#active.length;
  }

  /** Replaces the active terms. They must be in the order of their indices. */
  reset(active: readonly Term[]): void {
    this.#active = [...active];
  }

  /** The active term with index i, or undefined. */
  find(i: number): Term | undefined {
    return this.#active.find(({ index }) => index === i);
  }

  /** The index of the k-th term that is not active, k = 0, 1, …. */
  inactive(k: number): number {
    let i = k;
    for (const { index } of this.#active) if (index <= i) i++;
    return i;
  }

  add(term: Term): void {
    const at = this.#active.findIndex(({ index }) => index > term.index);
    this.#active.splice(at < 0 ? this.#active.length : at, 0, term);
  }
}
