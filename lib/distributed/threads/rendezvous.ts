import { availableParallelism } from 'node:os';
import { type Loss, RankError, TimeoutError } from '../errors.js';
import type { Meetings } from '../world/call-queue.js';
import { type Shared, Word } from './shared.js';

/** Why a world is broken: a deadline, or a rank that was lost. */
type Cause = { readonly message: string; readonly ranks: readonly number[] } | Loss;

/** Looks before a rank sleeps: most ranks come within microseconds. Where ranks share a core, looking keeps others from coming. */
const spins = { ownCore: 20_000, sharedCore: 200 } as const;
/** Turns are counted modulo 2³⁰, so that a run never ends them. Ranks are never two turns apart. */
const mask = 2 ** 30 - 1;
const nobody: readonly number[] = [];
/** A reason is cut, so that the cause fits in its memory. */
const longestText = 1000;

/** The promise of `Atomics.waitAsync`, which the types of this target lack. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeout?: number,
) => { readonly async: true; readonly value: Promise<string> } | { readonly async: false };

/** Waits until a word has another value. It does not hold the event loop. */
export const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

/** Waits until a word has another value, at most `ms` milliseconds. A timer holds the event loop, which `waitAsync` does not. */
export async function sleepUntil(words: Int32Array, index: number, value: number, ms: number): Promise<void> {
  const waiting = waitAsync(words, index, value, ms);
  if (!waiting.async) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    void waiting.value.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Where all ranks meet, turn after turn. The word `turn` counts the meetings. A broken world has its complement there, so a
 * meeting either took place or was broken off, and every rank sees the same.
 */
export class Rendezvous implements Meetings {
  readonly #shared: Shared;
  readonly #words: Int32Array;
  readonly #spins: number;
  #error: Error | undefined;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#words = shared.words;
    this.#spins = shared.size <= availableParallelism() ? spins.ownCore : spins.sharedCore;
  }

  /** Comes to the next meeting. Returns its turn, which `isPending` takes. @throws the error of a broken world */
  arrive(rank: number): number {
    const words = this.#words;
    const turn = Atomics.load(words, Word.turn);
    if (turn < 0) throw this.broken;
    Atomics.store(words, Word.ranks + rank, (turn + 1) & mask);
    if (Atomics.add(words, Word.count, 1) === this.#shared.size - 1) {
      Atomics.store(words, Word.count, 0);
      if (Atomics.compareExchange(words, Word.turn, turn, (turn + 1) & mask) === turn) Atomics.notify(words, Word.turn);
    }
    return turn;
  }

  /** Whether a meeting still waits for ranks. @throws the error of a broken world */
  isPending(turn: number): boolean {
    const now = Atomics.load(this.#words, Word.turn);
    if (now === ~turn) throw this.broken;
    return now === turn;
  }

  /** Whether a meeting is the one that the ranks wait for. */
  isNow(turn: number): boolean {
    return Atomics.load(this.#words, Word.turn) === turn;
  }

  /** Whether the meeting is over after a short look. */
  spin(turn: number): boolean {
    for (let i = 0; i < this.#spins; i++) if (!this.isNow(turn)) return true;
    return false;
  }

  /**
   * Comes to all further meetings in place of a rank that is lost, so that the others do not wait for it. Ends when the
   * world is broken.
   */
  async standInFor(rank: number): Promise<void> {
    const words = this.#words;
    for (;;) {
      const turn = Atomics.load(words, Word.turn);
      if (turn < 0) return;
      if (Atomics.load(words, Word.ranks + rank) !== ((turn + 1) & mask)) {
        try {
          this.arrive(rank);
        } catch {
          return; // broken meanwhile
        }
      }
      await this.wait(turn, 1000);
    }
  }

  /** The lost ranks that had no part in a meeting that is over: the same on every rank. */
  absent(turn: number): readonly number[] {
    let ranks = nobody;
    for (let rank = 0; rank < this.#shared.size; rank++) {
      const loss = this.#shared.lossOf(rank);
      if (loss !== undefined && ((turn - loss.missed) & mask) <= mask >> 1) ranks = [...ranks, rank];
    }
    return ranks;
  }

  /** Blocks until the meeting is over, at most `ms` milliseconds. */
  block(turn: number, ms: number): void {
    Atomics.wait(this.#words, Word.turn, turn, ms);
  }

  /** As `block`, while the event loop goes on. */
  async wait(turn: number, ms: number): Promise<void> {
    await sleepUntil(this.#words, Word.turn, turn, ms);
  }

  /** The ranks that have not come to a meeting. */
  missing(turn: number): number[] {
    return Array.from({ length: this.#shared.size }, (_, rank) => rank).filter(
      (rank) => Atomics.load(this.#words, Word.ranks + rank) !== ((turn + 1) & mask),
    );
  }

  /** Breaks the world if the meeting is pending. */
  late(turn: number, message: string, ranks: readonly number[]): void {
    this.break({ message, ranks }, turn);
  }

  /**
   * Breaks the world for all ranks. With a turn, only while that meeting is pending.
   * @returns whether this call broke it
   */
  break(cause: Cause, turn?: number): boolean {
    const words = this.#words;
    while (Atomics.compareExchange(words, Word.lock, 0, 1) !== 0); // held for microseconds
    try {
      for (;;) {
        const now = Atomics.load(words, Word.turn);
        if (now < 0 || (turn !== undefined && now !== turn)) return false;
        this.#shared.writeCause('reason' in cause ? { ...cause, reason: cause.reason.slice(0, longestText) } : cause);
        if (Atomics.compareExchange(words, Word.turn, now, ~now) === now) return true;
      }
    } finally {
      Atomics.store(words, Word.lock, 0);
      Atomics.notify(words, Word.turn);
      this.#shared.letters.ringAll();
    }
  }

  /** Why the world is broken, always the same error, or undefined. */
  get broken(): Error | undefined {
    if (this.#error === undefined && Atomics.load(this.#words, Word.turn) < 0) {
      const cause = this.#shared.readCause() as Cause;
      this.#error = 'reason' in cause ? new RankError(cause) : new TimeoutError(cause.message, cause.ranks);
    }
    return this.#error;
  }
}
