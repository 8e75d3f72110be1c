import { secondReceive } from '../world/channel.js';
import { bytesIn } from '../world/numbers.js';
import type { Letter, Mail, Waiter } from '../world/transport.js';
import type { Ring } from './post.js';
import { type Rendezvous, sleepUntil } from './rendezvous.js';
import { type Shared, Status, Word } from './shared.js';

/** The longest sleep without a look around. */
const longestSleep = 1000;
/** Numbers before each message: its kind, the count of its numbers, and the bytes of its data. */
const headNumbers = 3;

/** Puts the bytes of a ring together to messages. */
class Inbox {
  readonly #ring: Ring;
  readonly #head = new Float64Array(headNumbers);
  /** Memory of the data. It is kept from message to message, and grows. */
  #memory = new Uint8Array(0);
  /** What the next message fills: its head, then its numbers and data, whose lengths the head tells. */
  #parts: Uint8Array[] = [];
  #numbers = new Float64Array(0);
  #filled = 0;

  constructor(ring: Ring) {
    this.#ring = ring;
    this.#parts = [bytesIn(this.#head)];
  }

  /** The next message if all of it has come, and whether any bytes have. */
  take(): { readonly letter: Letter | undefined; readonly hasRead: boolean } {
    let hasRead = false;
    for (;;) {
      const part = this.#parts[0];
      if (part === undefined) break;
      const count = this.#ring.read(part.subarray(this.#filled));
      if (count > 0) hasRead = true;
      this.#filled += count;
      if (this.#filled < part.length) return { letter: undefined, hasRead };
      this.#parts.shift();
      this.#filled = 0;
      if (part.buffer === this.#head.buffer) this.#expectBody();
    }
    const [kind, , bytes] = this.#head as unknown as [number, number, number];
    this.#parts = [bytesIn(this.#head)];
    return { letter: { kind, numbers: [...this.#numbers], data: this.#memory.subarray(0, bytes) }, hasRead };
  }

  #expectBody(): void {
    const [, count, bytes] = this.#head as unknown as [number, number, number];
    this.#numbers = new Float64Array(count);
    if (this.#memory.length < bytes) this.#memory = new Uint8Array(bytes);
    this.#parts = [bytesIn(this.#numbers), this.#memory.subarray(0, bytes)];
  }
}

/** What did not fit into a ring. */
class Outbox {
  readonly #ring: Ring;
  #memory = new Uint8Array(0);
  #begin = 0;
  #end = 0;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  get isEmpty(): boolean {
    return this.#begin === this.#end;
  }

  /** Writes arrays to the ring, and keeps a copy of what does not fit. */
  put(arrays: readonly Uint8Array[]): void {
    for (const array of arrays) {
      const written = this.isEmpty ? this.#ring.write(array) : 0;
      if (written < array.length) this.#keep(array.subarray(written));
    }
  }

  /** Writes more of what was kept. Returns whether there was room for any. */
  advance(): boolean {
    const count = this.#ring.write(this.#memory.subarray(this.#begin, this.#end));
    this.#begin += count;
    if (this.isEmpty) this.clear();
    return count > 0;
  }

  clear(): void {
    this.#begin = 0;
    this.#end = 0;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#end + bytes.length;
    if (needed > this.#memory.length) {
      const memory = new Uint8Array(Math.max(needed, 2 * this.#memory.length));
      memory.set(this.#memory.subarray(0, this.#end));
      this.#memory = memory;
    }
    this.#memory.set(bytes, this.#end);
    this.#end = needed;
  }
}

/** The messages of a rank that is a worker thread. */
export class Mailbox implements Mail {
  readonly #shared: Shared;
  readonly #rendezvous: Rendezvous;
  readonly #rank: number;
  readonly #inboxes = new Map<number, Inbox>();
  readonly #outboxes = new Map<number, Outbox>();
  readonly #receiving = new Map<number, Waiter>();
  readonly #sending = new Map<number, Waiter[]>();
  #isPumping = false;

  constructor(shared: Shared, rendezvous: Rendezvous, rank: number) {
    this.#shared = shared;
    this.#rendezvous = rendezvous;
    this.#rank = rank;
  }

  send(to: number, kind: number, numbers: readonly number[], data: readonly (Float32Array | Uint8Array)[]): void {
    this.#checkNotBroken();
    if (this.#isLost(to)) return;
    const arrays = data.map(bytesIn);
    const bytes = arrays.reduce((sum, { length }) => sum + length, 0);
    const outbox = this.#outboxTo(to);
    outbox.put([bytesIn(Float64Array.of(kind, numbers.length, bytes, ...numbers)), ...arrays]);
    this.#shared.letters.ringBell(to);
    if (!outbox.isEmpty) this.#pump();
  }

  handedOver(to: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const list = this.#sending.get(to) ?? [];
      list.push({ resolve: () => resolve(), reject });
      this.#sending.set(to, list);
      this.#pump();
    });
  }

  receive(from: number): Promise<Letter | undefined> {
    if (this.#receiving.has(from)) return Promise.reject(secondReceive(from));
    return new Promise((resolve, reject) => {
      this.#receiving.set(from, { resolve, reject });
      this.#pump();
    });
  }

  /** Whether a rank was lost without ending the job. */
  #isLost(rank: number): boolean {
    return this.#shared.status(rank) === Status.lost;
  }

  setExpendable(isExpendable: boolean): void {
    this.#shared.setStatus(this.#rank, isExpendable ? Status.expendable : Status.joined);
    if (!isExpendable) Atomics.add(this.#shared.words, Word.finished, 1);
  }

  giveUp(message: string, ranks: readonly number[]): void {
    this.#rendezvous.break({ message, ranks });
  }

  #checkNotBroken(): void {
    const { broken } = this.#rendezvous;
    if (broken !== undefined) throw broken;
  }

  #inboxFrom(rank: number): Inbox {
    let inbox = this.#inboxes.get(rank);
    if (inbox === undefined) {
      inbox = new Inbox(this.#shared.letters.ring(rank, this.#rank));
      this.#inboxes.set(rank, inbox);
    }
    return inbox;
  }

  #outboxTo(rank: number): Outbox {
    let outbox = this.#outboxes.get(rank);
    if (outbox === undefined) {
      outbox = new Outbox(this.#shared.letters.ring(this.#rank, rank));
      this.#outboxes.set(rank, outbox);
    }
    return outbox;
  }

  get #isIdle(): boolean {
    return (
      this.#receiving.size === 0 &&
      this.#sending.size === 0 &&
      [...this.#outboxes.values()].every((outbox) => outbox.isEmpty)
    );
  }

  /** Moves bytes while somebody waits or something is left to send. */
  #pump(): void {
    if (this.#isPumping) {
      this.#advance(); // what comes later rings the bell
      return;
    }
    this.#isPumping = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { words } = this.#shared.letters;
    while (!this.#isIdle) {
      const bell = Atomics.load(words, this.#rank);
      if (this.#advance()) continue;
      if (this.#isIdle) break;
      await sleepUntil(words, this.#rank, bell, longestSleep);
    }
    this.#isPumping = false;
  }

  /** Moves what can be moved. Returns whether there was anything. */
  #advance(): boolean {
    const { broken } = this.#rendezvous;
    if (broken !== undefined) {
      this.#rejectAll(broken);
      return true;
    }
    let hasMoved = false;
    for (const [to, outbox] of this.#outboxes) {
      if (this.#isLost(to)) outbox.clear();
      if (outbox.isEmpty || !outbox.advance()) continue;
      this.#shared.letters.ringBell(to);
      hasMoved = true;
    }
    for (const [to, waiters] of this.#sending) {
      if (!this.#outboxTo(to).isEmpty) continue;
      this.#sending.delete(to);
      for (const { resolve } of waiters) resolve(undefined);
    }
    for (const [from, { resolve }] of this.#receiving) {
      const isLost = this.#isLost(from); // before the look, because its last message may still lie there
      const { letter, hasRead } = this.#inboxFrom(from).take();
      if (hasRead) this.#shared.letters.ringBell(from);
      hasMoved ||= hasRead;
      if (letter === undefined && !isLost) continue;
      this.#receiving.delete(from);
      resolve(letter);
    }
    return hasMoved;
  }

  #rejectAll(error: unknown): void {
    const waiters = [...this.#receiving.values(), ...[...this.#sending.values()].flat()];
    this.#receiving.clear();
    this.#sending.clear();
    for (const outbox of this.#outboxes.values()) outbox.clear();
    for (const { reject } of waiters) reject(error);
  }
}
