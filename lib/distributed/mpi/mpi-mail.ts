import { secondReceive } from '../world/channel.js';
import { bytesIn } from '../world/numbers.js';
import type { Letter, Mail, Waiter } from '../world/transport.js';
import type { MpiAddon } from './addon.js';
import type { Exchanges } from './exchanges.js';

/** Milliseconds between looks at the world, which may be broken without a word of the addon. */
const interval = 1000;
/** Numbers at the beginning of a letter: its length in bytes, its kind, and the count of the numbers that follow. */
const headNumbers = 3;

/** The messages of a rank that is a process of an MPI job. No rank is ever lost: MPI ends the job with it. */
export class MpiMail implements Mail {
  readonly #addon: MpiAddon;
  readonly #exchanges: Exchanges;
  readonly #receiving = new Map<number, Waiter>();
  readonly #sending = new Map<number, Waiter[]>();
  /** Why no message comes or goes any more. */
  #closed: Error | undefined;
  /** Holds the event loop while somebody waits. */
  #timer: NodeJS.Timeout | undefined;

  constructor(addon: MpiAddon, exchanges: Exchanges) {
    this.#addon = addon;
    this.#exchanges = exchanges;
    addon.watchMail(() => this.#look());
  }

  send(to: number, kind: number, numbers: readonly number[], data: readonly (Float32Array | Uint8Array)[]): void {
    if (this.#error !== undefined) throw this.#error;
    const arrays = data.map(bytesIn);
    const headBytes = Float64Array.BYTES_PER_ELEMENT * (headNumbers + numbers.length);
    const bytes = arrays.reduce((sum, { length }) => sum + length, headBytes);
    this.#addon.send(to, [bytesIn(Float64Array.of(bytes, kind, numbers.length, ...numbers)), ...arrays]);
  }

  handedOver(to: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const list = this.#sending.get(to) ?? [];
      list.push({ resolve: () => resolve(), reject });
      this.#sending.set(to, list);
      this.#look();
    });
  }

  receive(from: number): Promise<Letter | undefined> {
    if (this.#receiving.has(from)) return Promise.reject(secondReceive(from));
    return new Promise((resolve, reject) => {
      this.#receiving.set(from, { resolve, reject });
      if (this.#error === undefined) this.#addon.expect(from);
      this.#look();
    });
  }

  setExpendable(): void {}

  giveUp(message: string, ranks: readonly number[]): void {
    if (this.#closed !== undefined) return;
    this.#exchanges.tell({ message, ranks });
    this.#look();
  }

  /** Rejects who waits: the world is closed, and no message comes or goes any more. */
  end(): void {
    this.#look(); // what has come counts
    this.#closed = new Error('World: the world is closed');
    this.#look();
  }

  get #error(): Error | undefined {
    return this.#closed ?? this.#exchanges.broken;
  }

  /** Settles the waits that are over. */
  #look(): void {
    const error = this.#error;
    if (error !== undefined) this.#rejectAll(error);
    for (const [from, { resolve }] of this.#receiving) {
      const buffer = this.#addon.take(from);
      if (buffer === undefined) continue;
      this.#receiving.delete(from);
      resolve(letterIn(buffer));
    }
    for (const [to, waiters] of this.#sending) {
      if (!this.#addon.isSent(to)) continue;
      this.#sending.delete(to);
      for (const { resolve } of waiters) resolve(undefined);
    }
    const isWaiting = this.#receiving.size + this.#sending.size > 0;
    if (isWaiting) this.#timer ??= setInterval(() => this.#look(), interval);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #rejectAll(error: unknown): void {
    const waiters = [...this.#receiving.values(), ...[...this.#sending.values()].flat()];
    this.#receiving.clear();
    this.#sending.clear();
    for (const { reject } of waiters) reject(error);
  }
}

function letterIn(buffer: ArrayBuffer): Letter {
  const [length, kind, count] = new Float64Array(buffer, 0, headNumbers) as unknown as [number, number, number];
  const begin = Float64Array.BYTES_PER_ELEMENT * headNumbers;
  const numbers = [...new Float64Array(buffer, begin, count)];
  const headBytes = begin + Float64Array.BYTES_PER_ELEMENT * count;
  return { kind, numbers, data: new Uint8Array(buffer, headBytes, length - headBytes) };
}
