import { addTo, levelsOf } from './tree.js';

/** A branch of the tree of sums: its portions are [index·2^level, (index + 1)·2^level). */
export interface Branch {
  readonly level: number;
  readonly index: number;
}

export const beginOf = ({ level, index }: Branch): number => index * 2 ** level;
export const sizeOf = ({ level }: Branch): number => 2 ** level;

/**
 * A branch is at most this part of what is left for a rank: long ones first, because each costs a message with a gradient, then
 * short ones, so that all end together.
 */
const part = 1 / 2;

interface Sum {
  readonly loss: number;
  readonly grad: Float32Array;
}

/** One evaluation in the eyes of the rank that deals: which portions were dealt, and the sums that have come. */
export class Dealing {
  readonly #ranks: number;
  /** The number of nodes of each level of the tree, from the portions to the root. */
  readonly #levels: readonly number[];
  /** Vectors that nobody uses. */
  readonly #free: Float32Array[];
  readonly #length: number;
  /** Sums that wait for their neighbour, by level and index. */
  readonly #sums: readonly Map<number, Sum>[];
  readonly #isDone: Uint8Array;
  readonly #copies: Uint8Array;
  /** When each portion was dealt, and how many its rank then had to compute. */
  readonly #dealtAt: Float64Array;
  readonly #ahead: Float64Array;
  /** What is not dealt: the portions [next, end). */
  #next = 0;
  #end: number;
  #total: Sum | undefined;

  /** @param free Vectors to use, which are kept from evaluation to evaluation. */
  constructor(portions: number, ranks: number, length: number, free: Float32Array[]) {
    this.#end = portions;
    this.#ranks = ranks;
    this.#levels = levelsOf(portions);
    this.#length = length;
    this.#free = free;
    this.#sums = this.#levels.map(() => new Map());
    this.#isDone = new Uint8Array(portions);
    this.#copies = new Uint8Array(portions);
    this.#dealtAt = new Float64Array(portions);
    this.#ahead = new Float64Array(portions);
  }

  /** The sum of all portions, once it is known. */
  get total(): Sum | undefined {
    return this.#total;
  }

  /** Deals the next branch; undefined if none is left. `ahead`: the portions that the rank has still to compute. */
  deal(now: number, ahead: number): Branch | undefined {
    const left = this.#end - this.#next;
    if (left === 0) return undefined;
    const most = (part * left) / this.#ranks;
    let level = 0;
    while (2 ** (level + 1) <= most && this.#next % 2 ** (level + 1) === 0) level++;
    const branch = { level, index: this.#next / 2 ** level };
    this.#next += sizeOf(branch);
    for (let portion = beginOf(branch); portion < this.#next; portion++) {
      this.#copies[portion] = 1;
      this.#dealtAt[portion] = now;
      this.#ahead[portion] = ahead + sizeOf(branch);
    }
    return branch;
  }

  /** Deals the last portion, to the rank that deals: the branches of others stay whole. */
  dealLast(): Branch | undefined {
    return this.#end === this.#next ? undefined : { level: 0, index: --this.#end };
  }

  /** Deals a portion a second time, the one that is latest. `patience`: the time for each that its rank had to compute. */
  dealAgain(now: number, patience: number): Branch | undefined {
    const [portion, due] = this.#latest(patience);
    if (due > now) return undefined;
    this.#copies[portion] = 2;
    return { level: 0, index: portion };
  }

  /** When {@link dealAgain} can next give a portion; ∞ if none is left for it. */
  nextDealAgain(patience: number): number {
    return this.#latest(patience)[1];
  }

  #latest(patience: number): [portion: number, due: number] {
    let latest: [number, number] = [-1, Number.POSITIVE_INFINITY];
    for (let portion = 0; portion < this.#next; portion++) {
      if (this.#isDone[portion] === 1 || this.#copies[portion] !== 1) continue;
      const due = this.#dealtAt[portion]! + patience * this.#ahead[portion]!;
      if (due < latest[1]) latest = [portion, due];
    }
    return latest;
  }

  /** Takes the sum of a branch. One whose portions have all come is not counted again. */
  accept(branch: Branch, loss: number, grad: Float32Array): void {
    const [begin, end] = [beginOf(branch), beginOf(branch) + sizeOf(branch)];
    if (this.#isDone.subarray(begin, end).every((isDone) => isDone === 1)) return;
    this.#isDone.fill(1, begin, end);
    this.#forget(branch);
    const own = this.#free.pop() ?? new Float32Array(this.#length);
    own.set(grad);
    this.#climb(branch, { loss, grad: own });
  }

  /** Frees the sums of smaller branches within a branch: they have the bits that went into its own sum. */
  #forget({ level, index }: Branch): void {
    for (let lower = 0; lower < level; lower++) {
      const nodes = 2 ** (level - lower);
      for (let node = index * nodes; node < (index + 1) * nodes; node++) {
        const sum = this.#sums[lower]!.get(node);
        if (sum === undefined) continue;
        this.#sums[lower]!.delete(node);
        this.#free.push(sum.grad);
      }
    }
  }

  /** Adds neighbours until one is missing. */
  #climb({ level, index }: Branch, sum: Sum): void {
    for (; level + 1 < this.#levels.length; level++) {
      const neighbour = index % 2 === 0 ? index + 1 : index - 1;
      if (neighbour < this.#levels[level]!) {
        const other = this.#sums[level]!.get(neighbour);
        if (other === undefined) {
          this.#sums[level]!.set(index, sum);
          return;
        }
        this.#sums[level]!.delete(neighbour);
        const [left, right] = index < neighbour ? [sum, other] : [other, sum];
        addTo(left.grad, right.grad);
        this.#free.push(right.grad);
        sum = { loss: left.loss + right.loss, grad: left.grad };
      }
      index = Math.floor(index / 2);
    }
    this.#total = sum;
  }

  /** Gives the vectors back when the total has been read. */
  free(): void {
    if (this.#total !== undefined) this.#free.push(this.#total.grad);
    for (const level of this.#sums) for (const { grad } of level.values()) this.#free.push(grad);
  }
}
