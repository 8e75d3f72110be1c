// Learns from events which items a user likes. Each user and each item has a vector; their dot product predicts a click.
import { Adagrad, allocate, loadCheckpoint, saveCheckpoint } from 'schuss';
import { dots, scaled, type Table } from 'schuss/rows';

/** One event: a user was shown an item, and clicked it or not. */
export interface Event {
  readonly user: number;
  readonly item: number;
  readonly clicked: boolean;
}

export interface Sizes {
  readonly users: number;
  readonly items: number;
  readonly width: number;
}

const batchSize = 256;

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Pseudo-random numbers in [0, 1), the same in each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Buffers for a sparse gradient, in memory that a step on another thread may read. */
function rowGrads(width: number) {
  const rows = new Int32Array(new SharedArrayBuffer(4 * batchSize));
  const values = allocate(batchSize * width);
  return {
    rows,
    values,
    first: (count: number) => ({ rows: rows.subarray(0, count), values: values.subarray(0, count * width) }),
  };
}

type RowGrad = ReturnType<ReturnType<typeof rowGrads>['first']>;

export class Recommender {
  readonly sizes: Sizes;
  readonly #params: Record<'users' | 'items' | 'popularity', Table>;
  readonly #optimizer: Adagrad;
  readonly #grads: Record<'users' | 'items' | 'popularity', ReturnType<typeof rowGrads>>;
  readonly #scores = new Float32Array(batchSize);
  #logLoss = Math.LN2;

  constructor(sizes: Sizes) {
    const { users, items, width } = sizes;
    this.sizes = sizes;
    const table = (rows: number, columns: number) => ({
      data: allocate(rows * columns),
      shape: [rows, columns] as const,
    });
    const params = { users: table(users, width), items: table(items, width), popularity: table(items, 1) };
    const random = randomFrom(1);
    for (const { data } of [params.users, params.items]) {
      for (let k = 0; k < data.length; k++) data[k] = (random() - 0.5) / width;
    }
    this.#params = params;
    this.#grads = { users: rowGrads(width), items: rowGrads(width), popularity: rowGrads(1) };
    // One accumulator per row. A step touches only the rows of the batch, whatever the size of the tables.
    this.#optimizer = new Adagrad(params, { lr: 0.05, rowWise: true });
  }

  /** The number of steps taken so far. */
  get steps(): number {
    return this.#optimizer.stepCount;
  }

  /** Moving average of the log loss of the events, each predicted before it was learnt. */
  get logLoss(): number {
    return this.#logLoss;
  }

  /** The probability of a click. While a step runs, this may read a half-updated row, which is harmless for a prediction. */
  score(user: number, item: number): number {
    const { users, items, popularity } = this.#params;
    const { width } = this.sizes;
    let sum = popularity.data[item]!;
    for (let k = 0; k < width; k++) sum += users.data[user * width + k]! * items.data[item * width + k]!;
    return sigmoid(sum);
  }

  /** The `count` items with the highest scores for a user. */
  recommend(user: number, count: number): { item: number; score: number }[] {
    return Array.from({ length: this.sizes.items }, (_, item) => ({ item, score: this.score(user, item) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, count);
  }

  /** Learns from events, batch by batch, on other threads, so that the event loop keeps serving. One call at a time. */
  async learn(events: readonly Event[]): Promise<void> {
    for (let begin = 0; begin < events.length; begin += batchSize) {
      const batch = events.slice(begin, begin + batchSize);
      await this.#optimizer.stepAsync(this.#gradsOf(batch), { gradScale: 1 / Math.sqrt(batch.length) });
    }
  }

  /** The gradients of a batch's log loss. The step adds gradients of the same row. */
  #gradsOf(batch: readonly Event[]) {
    const { users, items, popularity } = this.#params;
    const [ofUsers, ofItems, ofPopularity] = [this.#grads.users, this.#grads.items, this.#grads.popularity].map(
      (grad) => grad.first(batch.length),
    ) as [RowGrad, RowGrad, RowGrad];
    for (const [n, { user, item }] of batch.entries()) {
      ofUsers.rows[n] = user;
      ofItems.rows[n] = ofPopularity.rows[n] = item;
    }
    const scores = dots(users, ofUsers.rows, items, ofItems.rows, this.#scores.subarray(0, batch.length));
    for (const [n, { item, clicked }] of batch.entries()) {
      const p = sigmoid(scores[n]! + popularity.data[item]!);
      this.#logLoss += 0.001 * (-Math.log(Math.max(clicked ? p : 1 - p, 1e-7)) - this.#logLoss);
      ofPopularity.values[n] = p - (clicked ? 1 : 0); // the gradient for the score
    }
    scaled(items, ofItems.rows, ofPopularity.values, ofUsers.values);
    scaled(users, ofUsers.rows, ofPopularity.values, ofItems.values);
    return { users: ofUsers, items: ofItems, popularity: ofPopularity };
  }

  /** Saves tables and optimizer in one file, which a crash leaves whole. Do not call it while `learn` runs. */
  async save(path: string): Promise<void> {
    await saveCheckpoint(path, { params: this.#params, optimizer: this.#optimizer });
  }

  /** Loads what `save` wrote. Training then continues bit for bit. A file of other sizes is refused. */
  async load(path: string): Promise<void> {
    await loadCheckpoint(path, { params: this.#params, optimizer: this.#optimizer });
  }
}
