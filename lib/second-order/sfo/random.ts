/** A seeded stream of random numbers. Streams with the same seed and different names are independent. */
export class Random {
  #state: number;

  constructor(seed: number, stream: string) {
    // FNV-1a of seed and name. A separate stream for each purpose: drawing one more number from one does not shift the
    // others.
    let hash = 0x811c9dc5;
    for (const char of `${seed}/${stream}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    this.#state = hash >>> 0;
  }

  /** What the numbers to come depend on: an integer of 32 bits, signed or not. */
  get state(): number {
    return this.#state;
  }

  set state(state: number) {
    this.#state = state;
  }

  /** Uniform in [0, 1): mulberry32. */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Standard normal: Box & Muller 1958. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** `count` of the integers 0 … length − 1, in ascending order: Floyd's sample without replacement. */
  sample(length: number, count: number): number[] {
    const chosen = new Set<number>();
    for (let last = Math.max(0, length - count); last < length; last++) {
      const i = Math.floor(this.uniform() * (last + 1));
      chosen.add(chosen.has(i) ? last : i);
    }
    return [...chosen].sort((a, b) => a - b);
  }

  /** The integers 0 … length − 1 in random order: Fisher–Yates shuffle. */
  permutation(length: number): Int32Array {
    const order = new Int32Array(length);
    for (let i = 0; i < length; i++) order[i] = i;
    for (let i = length - 1; i > 0; i--) {
      const j = Math.floor(this.uniform() * (i + 1));
      const swapped = order[i] as number;
      order[i] = order[j] as number;
      order[j] = swapped;
    }
    return order;
  }
}
