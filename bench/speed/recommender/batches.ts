import { Random } from '../../common/random.js';

/** The tables of the recommender, and how many items a user's history has. */
export interface Sizes {
  readonly users: number;
  readonly items: number;
  readonly width: number;
  readonly history: number;
}

/** Events: a user saw an item, and clicked it or not. Plain numbers, so that every contender learns the same. */
export interface Batch {
  readonly users: Int32Array;
  readonly items: Int32Array;
  /** `history` items for each event. */
  readonly histories: Int32Array;
  readonly clicked: Float32Array;
}

/** A prime that divides no number of rows here: popular rows are no neighbours in the table. */
const stride = 7919;

/** Row numbers as in clicks: the k-th most popular row is named in proportion to 1/k (Zipf's law). */
export function zipf(random: () => number, total: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, () => (Math.floor(total ** random() - 1) * stride) % total);
}

/** Row numbers that are all equally likely. */
export function uniform(random: () => number, total: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, () => Math.floor(random() * total));
}

/** Different batches, because each step of a training run touches other rows. */
export function batchesOf({ users, items, history }: Sizes, size: number, count = 8): Batch[] {
  const numbers = new Random(size, 'recommender');
  const random = (): number => numbers.uniform();
  return Array.from({ length: count }, () => ({
    users: zipf(random, users, size),
    items: zipf(random, items, size),
    histories: zipf(random, items, size * history),
    clicked: Float32Array.from({ length: size }, () => (random() < 0.3 ? 1 : 0)),
  }));
}
