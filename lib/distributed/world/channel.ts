import type { Letter, Mail, Waiter } from './transport.js';

/** A letter says its channel in its kind: kind + channel · kindsOfChannel. */
const kindsOfChannel = 16;

/**
 * The messages of one object among others that use the same mail: it gets those that the object of this number has sent on
 * another rank. A mail has one reader for each rank, so objects that read it by themselves would take each other's messages.
 */
export class Channel implements Mail {
  readonly #mail: Mail;
  readonly #number: number;
  readonly #reader: Reader;
  readonly #waiting = new Map<number, Waiter>();
  /** Messages that came while nobody waited for them here, by rank. */
  readonly #kept = new Map<number, Letter[]>();

  /** @internal */
  constructor(mail: Mail, number: number, reader: Reader) {
    this.#mail = mail;
    this.#number = number;
    this.#reader = reader;
  }

  /** Channel 0 of a mail, for objects of which a rank has one at a time. */
  static first(mail: Mail): Channel {
    return Reader.of(mail).channel(0);
  }

  /** A channel of its own. Every rank opens its channels in the same order. */
  static open(mail: Mail): Channel {
    return Reader.of(mail).open();
  }

  send(to: number, kind: number, numbers: readonly number[], data: readonly (Float32Array | Uint8Array)[]): void {
    this.#mail.send(to, kind + kindsOfChannel * this.#number, numbers, data);
  }

  handedOver(to: number): Promise<void> {
    return this.#mail.handedOver(to);
  }

  receive(from: number): Promise<Letter | undefined> {
    if (this.awaits(from)) return Promise.reject(secondReceive(from));
    const letter = this.#kept.get(from)?.shift();
    if (letter !== undefined) return Promise.resolve(letter);
    return new Promise((resolve, reject) => {
      this.#waiting.set(from, { resolve, reject });
      void this.#reader.read(from);
    });
  }

  setExpendable(isExpendable: boolean): void {
    this.#mail.setExpendable(isExpendable);
  }

  giveUp(message: string, ranks: readonly number[]): void {
    this.#mail.giveUp(message, ranks);
  }

  // For the reader.

  awaits(from: number): boolean {
    return this.#waiting.has(from);
  }

  /** Gives a message to whoever waits for it, or keeps it. */
  take(from: number, letter: Letter): void {
    if (this.awaits(from)) this.#pop(from).resolve(letter);
    else this.#kept.set(from, [...(this.#kept.get(from) ?? []), letter]);
  }

  /** A rank was lost, and has sent no other message. */
  lose(from: number): void {
    if (this.awaits(from)) this.#pop(from).resolve(undefined);
  }

  fail(from: number, error: unknown): void {
    if (this.awaits(from)) this.#pop(from).reject(error);
  }

  #pop(from: number): Waiter {
    const waiter = this.#waiting.get(from) as Waiter;
    this.#waiting.delete(from);
    return waiter;
  }
}

/** Reads a mail for all its channels. */
class Reader {
  static readonly #readers = new WeakMap<Mail, Reader>();
  readonly #mail: Mail;
  readonly #channels = new Map<number, Channel>();
  readonly #reading = new Set<number>();
  #opened = 0;

  constructor(mail: Mail) {
    this.#mail = mail;
  }

  static of(mail: Mail): Reader {
    let reader = Reader.#readers.get(mail);
    if (reader === undefined) {
      reader = new Reader(mail);
      Reader.#readers.set(mail, reader);
    }
    return reader;
  }

  open(): Channel {
    return this.channel(++this.#opened);
  }

  /** A channel, perhaps one that this rank has not opened yet. */
  channel(number: number): Channel {
    let channel = this.#channels.get(number);
    if (channel === undefined) {
      channel = new Channel(this.#mail, number, this);
      this.#channels.set(number, channel);
    }
    return channel;
  }

  /** Reads the messages of a rank while a channel waits for one. */
  async read(from: number): Promise<void> {
    if (this.#reading.has(from)) return;
    this.#reading.add(from);
    try {
      while (this.#isAwaited(from)) {
        const letter = await this.#mail.receive(from);
        if (letter === undefined) for (const channel of this.#channels.values()) channel.lose(from);
        else this.#pass(from, letter);
      }
    } catch (error) {
      for (const channel of this.#channels.values()) channel.fail(from, error);
    } finally {
      this.#reading.delete(from);
    }
  }

  #isAwaited(from: number): boolean {
    return [...this.#channels.values()].some((channel) => channel.awaits(from));
  }

  #pass(from: number, { kind, numbers, data }: Letter): void {
    const channel = this.channel(Math.floor(kind / kindsOfChannel));
    // Another channel may have the next message read before this one is done with.
    const own = channel.awaits(from) && this.#channels.size === 1 ? data : data.slice();
    channel.take(from, { kind: kind % kindsOfChannel, numbers, data: own });
  }
}

/** The error of a second call of `receive` for a rank. */
export const secondReceive = (from: number): Error =>
  new Error(`World: a second receive from rank ${from}, expected one at a time`);
