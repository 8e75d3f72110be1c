// Learns from events which items a user likes. Each user and each item has a vector; their dot product predicts a click.
import { readFile } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { Adagrad, allocate, type StateDict } from 'schuss';
import { replaceFile } from './replace-file.mjs';

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

interface Saved {
  readonly sizes: Sizes;
  readonly tables: Record<string, Float32Array>;
  readonly optimizer: StateDict;
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

export class Recommender {
  readonly sizes: Sizes;
  readonly #tables: { users: Float32Array; items: Float32Array; popularity: Float32Array };
  readonly #optimizer: Adagrad;
  readonly #grads: Record<'users' | 'items' | 'popularity', ReturnType<typeof rowGrads>>;
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
    this.#tables = { users: params.users.data, items: params.items.data, popularity: params.popularity.data };
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
    const { users, items, popularity } = this.#tables;
    const { width } = this.sizes;
    let sum = popularity[item]!;
    for (let k = 0; k < width; k++) sum += users[user * width + k]! * items[item * width + k]!;
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
      for (const [n, event] of batch.entries()) this.#writeGrads(n, event);
      const { users, items, popularity } = this.#grads;
      await this.#optimizer.stepAsync(
        {
          users: users.first(batch.length),
          items: items.first(batch.length),
          popularity: popularity.first(batch.length),
        },
        { gradScale: 1 / Math.sqrt(batch.length) },
      );
    }
  }

  /** Writes the gradient of one event's log loss at position n of the batch. The step adds gradients of the same row. */
  #writeGrads(n: number, { user, item, clicked }: Event): void {
    const { width } = this.sizes;
    const { users, items } = this.#tables;
    const p = this.score(user, item);
    const error = p - (clicked ? 1 : 0);
    this.#logLoss += 0.001 * (-Math.log(Math.max(clicked ? p : 1 - p, 1e-7)) - this.#logLoss);
    this.#grads.users.rows[n] = user;
    this.#grads.items.rows[n] = item;
    this.#grads.popularity.rows[n] = item;
    this.#grads.popularity.values[n] = error;
    for (let k = 0; k < width; k++) {
      this.#grads.users.values[n * width + k] = error * items[item * width + k]!;
      this.#grads.items.values[n * width + k] = error * users[user * width + k]!;
    }
  }

  /** Saves tables and optimizer to a file, atomically. Do not call it while `learn` runs. */
  async save(path: string): Promise<void> {
    const saved: Saved = { sizes: this.sizes, tables: this.#tables, optimizer: this.#optimizer.stateDict() };
    await replaceFile(path, serialize(saved));
  }

  /** Loads what `save` wrote. Training then continues bit for bit. */
  async load(path: string): Promise<void> {
    const { sizes, tables, optimizer } = deserialize(await readFile(path)) as Saved;
    for (const key of ['users', 'items', 'width'] as const) {
      if (sizes[key] !== this.sizes[key])
        throw new RangeError(`${path}: ${key} ${sizes[key]}, expected ${this.sizes[key]}`);
    }
    this.#optimizer.loadStateDict(optimizer);
    for (const [name, table] of Object.entries(this.#tables)) table.set(tables[name]!);
  }
}
