// The memory in which the threads of a job evaluate portions together: who has which portion, losses, and sums of branches.
import { sleepUntil } from '../threads/rendezvous.js';
import { keptEvaluations } from './patience.js';
import { levelsOf } from './tree.js';

/** The words of an evaluation are cleared a round before they are used again. */
const sheets = 2 * keptEvaluations;

const WordOfBoard = { failedRank: 0, pool: 1 } as const;
const WordOfSheet = { next: 0, isDone: 1, portions: 2 } as const;

/** What rank 0 hands to the other ranks. */
interface BoardBuffers {
  readonly portions: number;
  /** Vectors for sums of branches. */
  readonly poolSize: number;
  readonly words: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
  /** Those of the pool, then the sums of the evaluations that are kept. */
  readonly vectors: readonly SharedArrayBuffer[];
}

/** Words of a sheet: three for each portion, and one for each inner node of the tree. */
function sheetLength(portions: number): number {
  const inner = levelsOf(portions).slice(1);
  return WordOfSheet.portions + 3 * portions + inner.reduce((sum, nodes) => sum + nodes, 0);
}

/**
 * Makes the memory of a job.
 *
 * The pool has a vector for each branch that can wait for its neighbour. Portions are dealt in order. So on each level
 * of the tree one branch waits at the end of those dealt, and one for each rank that is still computing.
 */
export function createBoard(portions: number, length: number, ranks: number): BoardBuffers {
  const poolSize = Math.min(portions, (ranks + 1) * levelsOf(portions).length + ranks);
  const vectorBytes = Float32Array.BYTES_PER_ELEMENT * length;
  return {
    portions,
    poolSize,
    words: new SharedArrayBuffer(4 * (WordOfBoard.pool + poolSize + sheets * sheetLength(portions))),
    numbers: new SharedArrayBuffer(8 * sheets * 2 * portions),
    // Memory that nobody touches costs nothing.
    vectors: Array.from({ length: poolSize + keptEvaluations }, () => new SharedArrayBuffer(vectorBytes)),
  };
}

/** The views of one rank. */
export class Board {
  readonly portions: number;
  readonly vectors: readonly Float32Array[];
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #poolSize: number;

  constructor({ portions, poolSize, words, numbers, vectors }: BoardBuffers) {
    this.portions = portions;
    this.#poolSize = poolSize;
    this.#words = new Int32Array(words);
    this.#numbers = new Float64Array(numbers);
    this.vectors = vectors.map((buffer) => new Float32Array(buffer));
  }

  /** The rank on which a portion failed first, or undefined. */
  get failedRank(): number | undefined {
    const word = Atomics.load(this.#words, WordOfBoard.failedRank);
    return word === 0 ? undefined : word - 1;
  }

  setFailed(rank: number): void {
    Atomics.compareExchange(this.#words, WordOfBoard.failedRank, 0, rank + 1);
  }

  /** Returns the index of a vector that nobody uses: the first one, so that few are ever touched. */
  take(): number {
    for (let i = 0; i < this.#poolSize; i++)
      if (Atomics.compareExchange(this.#words, WordOfBoard.pool + i, 0, 1) === 0) return i;
    throw new Error('SandblasterLBFGS: no free vector; please report this'); // createBoard makes enough
  }

  giveBack(vector: number): void {
    Atomics.store(this.#words, WordOfBoard.pool + vector, 0);
  }

  /** The sheet of an evaluation: 0, 1, …. */
  sheet(evaluation: number): Sheet {
    const { portions } = this;
    const length = sheetLength(portions);
    const i = evaluation % sheets;
    const begin = WordOfBoard.pool + this.#poolSize + i * length;
    return new Sheet(
      portions,
      this.#words.subarray(begin, begin + length),
      this.#numbers.subarray(2 * i * portions, 2 * (i + 1) * portions),
      this.vectors[this.#poolSize + (evaluation % keptEvaluations)]!,
    );
  }

  /** The sheet that is to be cleared when an evaluation is done. No rank uses it, because all have met since. */
  sheetToClear(evaluation: number): Sheet {
    return this.sheet(evaluation + keptEvaluations);
  }
}

/** The memory of one evaluation. */
export class Sheet {
  /** The loss of each portion. */
  readonly losses: Float64Array;
  /** The gradient of all portions. */
  readonly sum: Float32Array;
  readonly #portions: number;
  readonly #words: Int32Array;
  /** When each portion was dealt. */
  readonly #dealtAt: Float64Array;

  constructor(portions: number, words: Int32Array, numbers: Float64Array, sum: Float32Array) {
    this.#portions = portions;
    this.#words = words;
    this.losses = numbers.subarray(0, portions);
    this.#dealtAt = numbers.subarray(portions);
    this.sum = sum;
  }

  get isDone(): boolean {
    return Atomics.load(this.#words, WordOfSheet.isDone) === 1;
  }

  setDone(): void {
    Atomics.store(this.#words, WordOfSheet.isDone, 1);
    this.notify();
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Deals the next portion to a rank; undefined if none is left. */
  deal(rank: number, now: number): number | undefined {
    if (Atomics.load(this.#words, WordOfSheet.next) >= this.#portions) return undefined;
    const portion = Atomics.add(this.#words, WordOfSheet.next, 1);
    if (portion >= this.#portions) return undefined;
    this.#dealtAt[portion] = now;
    Atomics.store(this.#words, this.#first(portion), rank + 1);
    return portion;
  }

  /**
   * Deals a portion a second time, the oldest one, if it was dealt at least `patience` ago; undefined if there is none.
   */
  dealAgain(rank: number, now: number, patience: number): number | undefined {
    for (let portion = 0; portion < this.#portions; portion++)
      if (this.#isOutstandingOnce(portion) && now - this.#dealtAt[portion]! >= patience) {
        const words = this.#words;
        if (Atomics.compareExchange(words, this.#second(portion), 0, rank + 1) === 0) return portion;
      }
    return undefined;
  }

  /** The ranks that compute portions which are outstanding. */
  holders(): number[] {
    const ranks = new Set<number>();
    for (let portion = 0; portion < this.#portions; portion++)
      if (this.#isOpen(portion))
        for (const word of [this.#first(portion), this.#second(portion)])
          ranks.add(Atomics.load(this.#words, word) - 1);
    ranks.delete(-1); // not dealt, or once
    return [...ranks].sort((a, b) => a - b);
  }

  /** When {@link dealAgain} can first give a portion; ∞ if all that are outstanding were dealt twice. */
  nextDealAgain(patience: number): number {
    let first = Number.POSITIVE_INFINITY;
    for (let portion = 0; portion < this.#portions; portion++)
      if (this.#isOutstandingOnce(portion)) first = Math.min(first, this.#dealtAt[portion]! + patience);
    return first;
  }

  /** Whether this is the first result of a portion. Another one is not counted. */
  accept(portion: number): boolean {
    return Atomics.exchange(this.#words, WordOfSheet.portions + portion, 1) === 0;
  }

  /**
   * Leaves the sum of a branch at an inner node of the tree, numbered level by level, for the neighbour that comes later.
   *
   * @returns the vector that the neighbour has left, or undefined if it is not there yet
   */
  meet(node: number, vector: number): number | undefined {
    const other = Atomics.exchange(this.#words, WordOfSheet.portions + 3 * this.#portions + node, vector + 1);
    return other === 0 ? undefined : other - 1;
  }

  /** Wakes the ranks that wait. */
  notify(): void {
    Atomics.notify(this.#words, WordOfSheet.isDone);
  }

  /** Waits until the evaluation is done, someone notifies, or `ms` milliseconds have passed. */
  async wait(ms: number): Promise<void> {
    await sleepUntil(this.#words, WordOfSheet.isDone, 0, ms);
  }

  /** The word of the rank that has a portion, plus 1. */
  #first(portion: number): number {
    return WordOfSheet.portions + this.#portions + portion;
  }

  /** The same for the second rank. */
  #second(portion: number): number {
    return WordOfSheet.portions + 2 * this.#portions + portion;
  }

  #isOpen(portion: number): boolean {
    return Atomics.load(this.#words, WordOfSheet.portions + portion) === 0;
  }

  #isOutstandingOnce(portion: number): boolean {
    const words = this.#words;
    const isDealt = Atomics.load(words, this.#first(portion)) !== 0;
    return this.#isOpen(portion) && isDealt && Atomics.load(words, this.#second(portion)) === 0;
  }
}
