import { type Loss, RankError, TimeoutError } from '../errors.js';
import type { Meetings } from '../world/call-queue.js';
import { type MpiAddon, State } from './addon.js';

/** Bytes to a rank, or from one. */
export interface Message {
  readonly isSend: boolean;
  readonly rank: number;
  /** In the memory of the exchanges. */
  readonly offset: number;
  readonly bytes: number;
  /** More than `bytes` where the ranks do not agree yet. */
  readonly most: number;
}

/** Why the world is broken. `isEnding`: the rank that told it ends the job. */
export type Cause =
  | { readonly message: string; readonly ranks: readonly number[] }
  | (Loss & { readonly isEnding?: boolean });

const tag = 1;
/** Integers of a message in the table. */
const rowLength = 5;

/** Messages between the ranks of an MPI job, one exchange after the other. A turn is an exchange. */
export class Exchanges implements Meetings {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly localSize: number;
  readonly #addon: MpiAddon;
  readonly #table: Int32Array;
  #wake: () => void;
  #turn = 0;
  /** The last turn that is known to be over. */
  #over = 0;
  #knowsWho = true;
  #error: Error | undefined;
  #isEnding = false;

  private constructor(addon: MpiAddon, setWake: (wake: () => void) => void) {
    [this.rank, this.size, this.localRank, this.localSize] = addon.place();
    this.#addon = addon;
    this.#table = new Int32Array(rowLength * 2 * this.size);
    this.#wake = () => {};
    setWake(() => this.#wake());
  }

  /** Joins the ranks that the launcher started: each waits for all. */
  static async join(addon: MpiAddon): Promise<Exchanges> {
    let wake = (): void => {};
    addon.join(() => wake());
    if (addon.arm()) {
      await new Promise<void>((resolve) => {
        const holding = setInterval(() => {}, 1000);
        wake = () => {
          clearInterval(holding);
          resolve();
        };
      });
    }
    return new Exchanges(addon, (own) => {
      wake = own;
    });
  }

  /** Memory for messages. To be called once. */
  memory(bytes: number): ArrayBuffer {
    return this.#addon.memory(bytes);
  }

  /**
   * Begins sends and receives. Returns the turn.
   * @param knowsWho Whether a message that does not come is the fault of its sender, who might itself wait for others.
   * @throws the error of a broken world
   */
  begin(messages: readonly Message[], knowsWho: boolean): number {
    this.checkWhole();
    this.#knowsWho = knowsWho;
    const table = this.#table;
    let at = 0;
    for (const { isSend, rank, offset, bytes, most } of messages) {
      table[at++] = isSend ? 1 : 0;
      table[at++] = rank;
      table[at++] = offset;
      table[at++] = bytes;
      table[at++] = most;
    }
    const state = this.#addon.exchange(table, messages.length, tag);
    this.#turn++;
    if (state === State.done) this.#over = this.#turn;
    return this.#turn;
  }

  /** @throws the error of a broken world */
  checkWhole(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** Leaves MPI, in which all ranks take part. Returns the turn. */
  leave(): number {
    this.#knowsWho = false;
    this.#addon.leave();
    return ++this.#turn;
  }

  /** Whether an exchange still waits for messages. @throws the error of a broken world */
  isPending(turn: number): boolean {
    if (turn <= this.#over) return false;
    if (this.broken !== undefined) throw this.broken;
    return this.isNow(turn);
  }

  isNow(turn: number): boolean {
    return turn === this.#turn && this.#addon.state() === State.pending;
  }

  /** The thread of the addon looks, so this one does not. */
  spin(turn: number): boolean {
    return !this.isNow(turn);
  }

  block(_turn: number, ms: number): void {
    this.#addon.block(ms);
  }

  async wait(_turn: number, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms); // holds the event loop
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (!this.#addon.arm()) this.#wake();
    });
  }

  missing(_turn: number): number[] {
    return this.#knowsWho ? this.#addon.missing() : [];
  }

  late(turn: number, message: string, ranks: readonly number[]): void {
    if (this.isNow(turn)) this.tell({ message, ranks });
  }

  /** Breaks the world for all ranks. */
  tell(cause: Cause): void {
    if (this.broken !== undefined) return;
    this.#error = errorOf(cause);
    let text = JSON.stringify(cause);
    if ('reason' in cause)
      for (let { reason } = cause; Buffer.byteLength(text) >= this.#addon.causeBytes; ) {
        reason = reason.slice(0, reason.length >> 1);
        text = JSON.stringify({ ...cause, reason });
      }
    else if (Buffer.byteLength(text) >= this.#addon.causeBytes)
      text = JSON.stringify({ message: `${cause.message.slice(0, 200)} …`, ranks: [] });
    this.#addon.tell(text);
  }

  /** Breaks the world of this rank, where the others come to the same end. Returns the error. */
  lose(loss: Loss): Error {
    this.#error ??= errorOf(loss);
    return this.#error;
  }

  /** Why the world is broken, always the same error, or undefined. */
  get broken(): Error | undefined {
    if (this.#error === undefined && this.#addon.state() === State.broken) {
      const error = this.#addon.error();
      const cause: Cause =
        error === '' ? JSON.parse(this.#addon.cause()) : { rank: this.#addon.missing()[0] ?? this.rank, reason: error };
      this.#isEnding = 'reason' in cause && cause.isEnding === true;
      this.#error = errorOf(cause);
    }
    return this.#error;
  }

  /** Whether another rank has said that it ends the job. */
  get isEnding(): boolean {
    return this.broken !== undefined && this.#isEnding;
  }

  /** Lets `signal` see SIGINT and SIGTERM also while a script blocks. Node must listen to them already. */
  watchSignals(): void {
    this.#addon.watchSignals();
  }

  /** The number of the signal that this process has got last, or 0. */
  get signal(): number {
    return this.#addon.signal();
  }

  /** Ends the job at once. */
  abort(code: number): never {
    return this.#addon.abort(code);
  }
}

function errorOf(cause: Cause): Error {
  return 'reason' in cause ? new RankError(cause) : new TimeoutError(cause.message, cause.ranks);
}
