// Each collective over mail boxes, as a generator: it yields the turn of the meeting that it waits for.

import { ofAllRanks, RankError } from '../errors.js';
import type { Steps } from '../world/call-queue.js';
import { bytesOf, gone, isGone, slice } from '../world/numbers.js';
import { reduceInOrder } from '../world/ordered-sum.js';
import { partition } from '../world/partition.js';
import { type Call, disagreement, failureOf, leaverOf, type Outcome, reasonOf } from '../world/transport.js';
import type { Rendezvous } from './rendezvous.js';
import { boxBytes, type Posted, type Shared, Status } from './shared.js';

const none: Outcome = [];

/** The collectives of one rank. Boxes and headers alternate from turn to turn. */
export class Collectives {
  readonly #shared: Shared;
  readonly #rendezvous: Rendezvous;
  readonly #rank: number;
  readonly #size: number;
  #turn = 0;

  constructor(shared: Shared, rendezvous: Rendezvous, rank: number) {
    this.#shared = shared;
    this.#rendezvous = rendezvous;
    this.#rank = rank;
    this.#size = shared.size;
  }

  /** Runs a call, the `number`-th of this rank. */
  *run(call: Call, number: number): Steps {
    const outcome = yield* this.#stepsOf(call, number);
    if (isGone(call.x, call.length)) throw this.#gone(call, number, this.#rank);
    if (call.kind === 'close' || call.kind === 'leave') this.#shared.setStatus(this.#rank, Status.closed);
    return outcome;
  }

  #stepsOf(call: Call, number: number): Steps {
    switch (call.kind) {
      case 'allReduce':
        return this.#allReduce(call, number);
      case 'reduceScatter':
        return this.#reduceScatter(call, number);
      case 'allGather':
        return this.#allGather(call, number);
      case 'allToAll':
        return this.#allToAll(call, number);
      case 'broadcast':
        return this.#broadcast(call, number);
      case 'broadcastObject':
      case 'allGatherObject':
        return this.#gatherBytes(call, number);
      default:
        return this.#barrier(call, number);
    }
  }

  *#barrier(call: Call, number: number): Steps {
    yield* this.#agree(call, number);
    return none;
  }

  /** All put a bucket into their boxes, each sums its part of it, all take the sums. */
  *#allReduce(call: Call, number: number): Steps {
    const { type, length, op = 'sum' } = call;
    const room = boxBytes / bytesOf(type);
    for (let begin = 0; begin === 0 || begin < length; begin += room) {
      const count = Math.min(length - begin, room);
      this.#put(call, begin, 0, count);
      yield* this.#agree(call, number);
      const [from, to] = partition(count, this.#size)[this.#rank]!;
      if (to > from) reduceInOrder(this.#boxes(call, from, to), op);
      this.#checkAllHere(yield* this.#meet());
      this.#take(call, begin, 0, 0, count);
    }
    return none;
  }

  /** A bucket has a piece of each rank's part, so that all ranks sum equally much. */
  *#reduceScatter(call: Call, number: number): Steps {
    const { type, length, op = 'sum' } = call;
    const room = Math.floor(boxBytes / bytesOf(type) / this.#size);
    const parts = partition(length, this.#size);
    const longest = parts[0]![1];
    const counts = (done: number): number[] =>
      parts.map(([begin, end]) => Math.max(0, Math.min(end - begin - done, room)));
    for (let done = 0; done === 0 || done < longest; done += room) {
      const pieces = counts(done);
      for (const [rank, count] of pieces.entries()) this.#put(call, parts[rank]![0] + done, rank * room, count);
      yield* this.#agree(call, number);
      const [begin, count] = [this.#rank * room, pieces[this.#rank]!];
      if (count > 0) reduceInOrder(this.#boxes(call, begin, begin + count), op);
      this.#take(call, parts[this.#rank]![0] + done, 0, begin, count);
    }
    return none;
  }

  *#allGather(call: Call, number: number): Steps {
    const room = boxBytes / bytesOf(call.type);
    const parts = partition(call.length, this.#size);
    const longest = parts[0]![1];
    const count = (rank: number, done: number): number =>
      Math.max(0, Math.min(parts[rank]![1] - parts[rank]![0] - done, room));
    for (let done = 0; done === 0 || done < longest; done += room) {
      this.#put(call, parts[this.#rank]![0] + done, 0, count(this.#rank, done));
      yield* this.#agree(call, number);
      for (const [rank, [begin]] of parts.entries())
        if (rank !== this.#rank) this.#take(call, begin + done, rank, 0, count(rank, done));
    }
    return none;
  }

  /** The parts are equally long. Those that a rank takes lie where those that it has put lay. */
  *#allToAll(call: Call, number: number): Steps {
    const each = call.length / this.#size;
    const room = Math.floor(boxBytes / bytesOf(call.type) / this.#size);
    for (let done = 0; done === 0 || done < each; done += room) {
      const count = Math.min(each - done, room);
      for (let rank = 0; rank < this.#size; rank++) this.#put(call, rank * each + done, rank * room, count);
      yield* this.#agree(call, number);
      for (let rank = 0; rank < this.#size; rank++)
        if (rank !== this.#rank) this.#take(call, rank * each + done, rank, this.#rank * room, count);
    }
    return none;
  }

  *#broadcast(call: Call, number: number): Steps {
    const { length, root = 0, type } = call;
    const room = boxBytes / bytesOf(type);
    for (let begin = 0; begin === 0 || begin < length; begin += room) {
      const count = Math.min(length - begin, room);
      if (root === this.#rank) this.#put(call, begin, 0, count);
      yield* this.#agree(call, number);
      if (root !== this.#rank) this.#take(call, begin, root, 0, count);
    }
    return none;
  }

  /** Gives all ranks the bytes of each. Their lengths differ, and stand in the headers. */
  *#gatherBytes(call: Call, number: number): Steps {
    const all: Uint8Array[] = [];
    for (let done = 0; done === 0 || all.some((bytes) => bytes.length > done); done += boxBytes) {
      this.#put(call, done, 0, Math.max(0, Math.min(call.length - done, boxBytes)));
      const headers = yield* this.#agree(call, number);
      for (const [rank, { length }] of headers.entries()) {
        all[rank] ??= new Uint8Array(length);
        const count = Math.max(0, Math.min(length - done, boxBytes));
        if (count > 0) all[rank].set(this.#shared.box(rank, this.#turn, 'Uint8Array', 0, count) as Uint8Array, done);
      }
    }
    return all;
  }

  /** Copies elements into the own box of the next turn. An array that is gone is reported by `#agree`. */
  #put({ x, type, length }: Call, begin: number, at: number, count: number): void {
    if (count === 0 || isGone(x, length)) return;
    this.#shared.box(this.#rank, this.#turn + 1, type, at, at + count).set(slice(type, x, begin, begin + count));
  }

  /** Copies elements out of a rank's box. */
  #take({ x, type, length }: Call, begin: number, rank: number, at: number, count: number): void {
    if (count === 0 || isGone(x, length)) return;
    slice(type, x, begin, begin + count).set(this.#shared.box(rank, this.#turn, type, at, at + count));
  }

  #boxes({ type }: Call, begin: number, end: number): ReturnType<Shared['box']>[] {
    return Array.from({ length: this.#size }, (_, rank) => this.#shared.box(rank, this.#turn, type, begin, end));
  }

  /** Returns the lost ranks that had no part in it. */
  *#meet(): Generator<number, readonly number[], void> {
    const turn = this.#rendezvous.arrive(this.#rank);
    while (this.#rendezvous.isPending(turn)) yield turn;
    return this.#rendezvous.absent(turn);
  }

  /** @throws RankError, the same on every rank that is left. The world goes on. */
  #checkAllHere([rank]: readonly number[]): void {
    if (rank === undefined) return;
    const { exitCode } = this.#shared.lossOf(rank) as { readonly exitCode: number };
    throw ofAllRanks(new RankError({ rank, exitCode, reason: `was lost with exit code ${exitCode}` }));
  }

  /**
   * Meets the other ranks and compares the headers, before any data leave the boxes. Every rank reads the same headers, so
   * all come to the same end.
   */
  *#agree(call: Call, number: number): Generator<number, readonly Posted[], void> {
    this.#turn++;
    const { kind, type, length, op, root, caller } = call;
    this.#shared.post(this.#rank, this.#turn, { kind, type, length, op, root, caller, isGone: isGone(call.x, length) });
    const absent = yield* this.#meet();
    const meets = kind === 'barrier' || kind === 'close' || kind === 'leave';
    if (!meets) this.#checkAllHere(absent);
    const headers = Array.from(
      { length: this.#size },
      (_, rank) => this.#shared.read(absent.includes(rank) ? 0 : rank, this.#turn), // rank 0, a server, is never lost alone
    );
    const left = this.#left(headers, number);
    if (left !== undefined) throw left;
    if (headers.some((header) => header.kind === 'failure'))
      throw failureOf(headers, yield* this.#gatherBytes(reasonOf(call), number));
    const error = disagreement(number, headers);
    if (error !== undefined) throw error;
    const without = headers.findIndex((header) => header.isGone);
    if (without >= 0) throw ofAllRanks(this.#gone(call, number, without));
    return headers;
  }

  /** Breaks the world if a script has ended while others still call collectives. */
  #left(headers: readonly Posted[], number: number): Error | undefined {
    const loss = leaverOf(number, headers);
    if (loss === undefined) return undefined;
    this.#rendezvous.break(loss);
    return this.#rendezvous.broken;
  }

  #gone({ kind, type }: Call, number: number, rank: number): TypeError {
    return gone(`World: ${kind} #${number}`, type, `on rank ${rank}, expected one that stays until the call settles`);
  }
}
