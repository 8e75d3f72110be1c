// Each collective over messages, as a generator: it yields the turn of the exchange that it waits for.
//
// First all ranks give each other a header, and short arrays with it. Longer ones go in buckets: each rank gets its part of all,
// sums it in the order of the contract, and gives it to all. Nothing is sent out of a user's array or received into it, because
// MPI may still write after a deadline.

import type { Steps } from '../call-queue.js';
import { callerOf, numberOf } from '../callers.js';
import { type Loss, ofAllRanks } from '../errors.js';
import { bytesOf, gone, isGone, numbersAt, slice } from '../numbers.js';
import { reduceInOrder } from '../ordered-sum.js';
import { partition } from '../partition.js';
import {
  type Call,
  disagreement,
  failureOf,
  type Header,
  kinds,
  leaverOf,
  type Numbers,
  type Outcome,
  ops,
  reasonOf,
  type Type,
  types,
} from '../transport.js';
import type { Message } from './exchanges.js';

/** What carries messages between ranks. */
export interface Carrier {
  readonly rank: number;
  readonly size: number;
  memory(bytes: number): ArrayBuffer;
  begin(messages: readonly Message[], knowsWho: boolean): number;
  isPending(turn: number): boolean;
  leave(): number;
  lose(loss: Loss): Error;
}

export interface Sizes {
  /** Bytes that travel with a header. */
  readonly inline: number;
  /** Bytes of a bucket. */
  readonly bucket: number;
  /** With more ranks, headers go by others' hands: ⌈log₂ size⌉ exchanges in place of size − 1 messages. */
  readonly direct: number;
}

const usual: Sizes = { inline: 4096, bucket: 4 << 20, direct: 64 };

/** A header on its way. */
interface Posted extends Header {
  readonly isGone: boolean;
}

const headerBytes = 64;
const line = 64;
const lines = (bytes: number): number => line * Math.ceil(bytes / line);
const none: Outcome = [];

/** The collectives of one rank. */
export class Collectives {
  readonly #carrier: Carrier;
  readonly #rank: number;
  readonly #size: number;
  readonly #sizes: Sizes;
  readonly #memory: ArrayBuffer;
  /** Where things lie in the memory: the headers of all ranks, the bucket, and what comes from others. */
  readonly #at: { readonly headers: number; readonly bucket: number; readonly inbox: number };
  /** The other ranks, each rank beginning with the one after it. */
  readonly #others: readonly number[];
  /** The header of each rank in the memory. */
  readonly #headers: readonly Float64Array[];

  constructor(carrier: Carrier, sizes: Sizes = usual) {
    const { rank, size } = carrier;
    this.#carrier = carrier;
    this.#rank = rank;
    this.#size = size;
    // Headers that others carry have a fixed length.
    this.#sizes = size <= sizes.direct ? sizes : { ...sizes, inline: 0 };
    const bucket = (headerBytes + this.#sizes.inline) * size;
    const inbox = bucket + sizes.bucket;
    this.#at = { headers: 0, bucket, inbox };
    // Parts are rounded up to lines, and the first ones are longer by 16 elements.
    this.#memory = carrier.memory(inbox + sizes.bucket + 4 * line * size);
    this.#others = Array.from({ length: size - 1 }, (_, i) => (rank + 1 + i) % size);
    this.#headers = Array.from(
      { length: size },
      (_, each) => new Float64Array(this.#memory, this.#headerAt(each), headerBytes / 8),
    );
  }

  /** Runs a call, the `number`-th of this rank. */
  *run(call: Call, number: number): Steps {
    const outcome = yield* this.#stepsOf(call, number);
    if (isGone(call.x, call.length)) throw this.#gone(call, number, this.#rank);
    return outcome;
  }

  #stepsOf(call: Call, number: number): Steps {
    const isShort = bytesOf(call.type) * call.length <= this.#sizes.inline;
    switch (call.kind) {
      case 'allReduce':
      case 'reduceScatter':
        if (isShort) return this.#reduceShort(call, number);
        return call.kind === 'allReduce' ? this.#allReduce(call, number) : this.#reduceScatter(call, number);
      case 'allGather':
        return isShort ? this.#allGatherShort(call, number) : this.#allGather(call, number);
      case 'allToAll':
        return isShort ? this.#allToAllShort(call, number) : this.#allToAll(call, number);
      case 'broadcast':
        return isShort ? this.#broadcastShort(call, number) : this.#broadcast(call, number);
      case 'broadcastObject':
      case 'allGatherObject':
        return this.#gatherBytes(call, number);
      case 'barrier':
      case 'failure':
        return this.#barrier(call, number);
      default:
        return this.#leave(call, number);
    }
  }

  *#barrier(call: Call, number: number): Steps {
    yield* this.#agree(call, number);
    return none;
  }

  *#leave(call: Call, number: number): Steps {
    yield* this.#agree(call, number);
    yield* this.#until(this.#carrier.leave());
    return none;
  }

  *#reduceShort(call: Call, number: number): Steps {
    const { kind, type, length, op = 'sum' } = call;
    yield* this.#agree(call, number, 0, length);
    const parts = Array.from({ length: this.#size }, (_, rank) => this.#payload(rank, type, 0, length));
    if (length > 0) reduceInOrder(parts, op);
    const [begin, end] = kind === 'allReduce' ? [0, length] : partition(length, this.#size)[this.#rank]!;
    this.#take(call, begin, parts[0]!.subarray(begin, end));
    return none;
  }

  *#allGatherShort(call: Call, number: number): Steps {
    const { type, length } = call;
    const parts = partition(length, this.#size);
    const [begin, end] = parts[this.#rank]!;
    yield* this.#agree(call, number, begin, end - begin);
    for (const rank of this.#others) {
      const [from, to] = parts[rank]!;
      this.#take(call, from, this.#payload(rank, type, 0, to - from));
    }
    return none;
  }

  *#allToAllShort(call: Call, number: number): Steps {
    const { type, length } = call;
    const each = length / this.#size;
    yield* this.#agree(call, number, 0, length);
    for (const rank of this.#others)
      this.#take(call, rank * each, this.#payload(rank, type, this.#rank * each, (this.#rank + 1) * each));
    return none;
  }

  *#broadcastShort(call: Call, number: number): Steps {
    const { type, length, root = 0 } = call;
    yield* this.#agree(call, number, 0, root === this.#rank ? length : 0);
    if (root !== this.#rank) this.#take(call, 0, this.#payload(root, type, 0, length));
    return none;
  }

  /** Each rank sums its part of a bucket, then gives it to all. */
  *#allReduce(call: Call, number: number): Steps {
    const { type, length, op = 'sum' } = call;
    const room = this.#sizes.bucket / bytesOf(type);
    for (let begin = 0; begin < length; begin += room) {
      const count = Math.min(length - begin, room);
      const parts = partition(count, this.#size);
      this.#put(call, begin, 0, count);
      yield* this.#agree(call, number);
      const sums = yield* this.#sumPart(type, parts, op);
      const [from, to] = parts[this.#rank]!;
      const own = this.#bucket(type, from, to);
      if (own.length > 0 && sums !== own) own.set(sums);
      yield* this.#shareParts(type, parts, this.#others);
      this.#take(call, begin, this.#bucket(type, 0, count));
    }
    return none;
  }

  /** A bucket has a piece of each rank's part, so that all ranks sum equally much. */
  *#reduceScatter(call: Call, number: number): Steps {
    const { type, length, op = 'sum' } = call;
    const room = this.#roomOfRank(type);
    const parts = partition(length, this.#size);
    const longest = parts[0]![1];
    for (let done = 0; done < longest; done += room) {
      const pieces = parts.map(([begin, end], rank): [number, number] => {
        const count = Math.max(0, Math.min(end - begin - done, room));
        return [rank * room, rank * room + count];
      });
      for (const [rank, [from, to]] of pieces.entries()) this.#put(call, parts[rank]![0] + done, from, to - from);
      yield* this.#agree(call, number);
      this.#take(call, parts[this.#rank]![0] + done, yield* this.#sumPart(type, pieces, op));
    }
    return none;
  }

  *#allGather(call: Call, number: number): Steps {
    const { type, length } = call;
    const room = this.#roomOfRank(type);
    const parts = partition(length, this.#size);
    const longest = parts[0]![1];
    for (let done = 0; done < longest; done += room) {
      const pieces = parts.map(([begin, end], rank): [number, number] => {
        const count = Math.max(0, Math.min(end - begin - done, room));
        return [rank * room, rank * room + count];
      });
      const [from, to] = pieces[this.#rank]!;
      this.#put(call, parts[this.#rank]![0] + done, from, to - from);
      yield* this.#agree(call, number);
      yield* this.#shareParts(type, pieces, this.#others);
      for (const rank of this.#others) this.#take(call, parts[rank]![0] + done, this.#bucket(type, ...pieces[rank]!));
    }
    return none;
  }

  /** The parts are equally long. Those that come lie where those that went lay. */
  *#allToAll(call: Call, number: number): Steps {
    const { type, length } = call;
    const each = length / this.#size;
    const room = this.#roomOfRank(type);
    for (let done = 0; done < each; done += room) {
      const count = Math.min(each - done, room);
      const pieces = Array.from({ length: this.#size }, (_, rank): [number, number] => [
        rank * room,
        rank * room + count,
      ]);
      for (const rank of this.#others) this.#put(call, rank * each + done, rank * room, count);
      yield* this.#agree(call, number);
      yield* this.#deal(type, pieces);
      for (const rank of this.#others)
        this.#take(call, rank * each + done, numbersAt(type, this.#memory, this.#inbox(type, rank, count), count));
    }
    return none;
  }

  /** The root deals a bucket out, then all give their part to all: it sends no more than twice the bucket. */
  *#broadcast(call: Call, number: number): Steps {
    const { type, length, root = 0 } = call;
    const isRoot = root === this.#rank;
    const room = this.#sizes.bucket / bytesOf(type);
    for (let begin = 0; begin < length; begin += room) {
      const count = Math.min(length - begin, room);
      const parts = partition(count, this.#size);
      if (isRoot) this.#put(call, begin, 0, count);
      yield* this.#agree(call, number);
      const dealt = isRoot ? this.#others : [this.#rank];
      yield* this.#exchange(
        dealt.map((rank) => this.#message(isRoot, isRoot ? rank : root, type, this.#at.bucket, parts[rank]!)),
      );
      const own = this.#others.filter((rank) => rank !== root);
      yield* this.#shareParts(type, parts, own, isRoot ? [] : this.#others);
      if (!isRoot) this.#take(call, begin, this.#bucket(type, 0, count));
    }
    return none;
  }

  /** Gives all ranks the bytes of each. Their lengths differ, and stand in the headers. */
  *#gatherBytes(call: Call, number: number): Steps {
    const { inline } = this.#sizes;
    const room = this.#roomOfRank('Uint8Array');
    const headers = yield* this.#agree(call, number, 0, call.length <= inline ? call.length : 0);
    const all = headers.map(({ length }, rank) => {
      const bytes = new Uint8Array(length);
      if (length <= inline) bytes.set(this.#payload(rank, 'Uint8Array', 0, length) as Uint8Array);
      return bytes;
    });
    const longest = Math.max(...headers.map(({ length }) => (length <= inline ? 0 : length)));
    for (let done = 0; done < longest; done += room) {
      const pieces = headers.map(({ length }, rank): [number, number] => {
        const count = length <= inline ? 0 : Math.max(0, Math.min(length - done, room));
        return [rank * room, rank * room + count];
      });
      const [from, to] = pieces[this.#rank]!;
      this.#put(call, done, from, to - from);
      yield* this.#shareParts('Uint8Array', pieces, this.#others);
      for (const [rank, piece] of pieces.entries())
        all[rank]!.set(this.#bucket('Uint8Array', ...piece) as Uint8Array, piece[1] > piece[0] ? done : 0);
    }
    return all;
  }

  /** Gets this rank's part of all buckets, and reduces it. Returns the sums, which lie in the first rank's part. */
  *#sumPart(
    type: Type,
    parts: readonly [number, number][],
    op: NonNullable<Call['op']>,
  ): Generator<number, Numbers, void> {
    yield* this.#deal(type, parts);
    const [from, to] = parts[this.#rank]!;
    const own = this.#bucket(type, from, to);
    if (to === from) return own;
    const all = Array.from({ length: this.#size }, (_, rank) =>
      rank === this.#rank ? own : numbersAt(type, this.#memory, this.#inbox(type, rank, to - from), to - from),
    );
    reduceInOrder(all, op);
    return all[0]!;
  }

  /** Gives each rank its part of the bucket. What comes lies in the inbox. */
  *#deal(type: Type, parts: readonly [number, number][]): Generator<number, void, void> {
    const [from, to] = parts[this.#rank]!;
    const count = to - from;
    yield* this.#exchange([
      ...this.#others.map((rank) => this.#message(false, rank, type, this.#inbox(type, rank, count), [0, count])),
      ...this.#others.map((rank) => this.#message(true, rank, type, this.#at.bucket, parts[rank]!)),
    ]);
  }

  /** Where what a rank sends lies, if each sends so many elements. */
  #inbox(type: Type, rank: number, count: number): number {
    return this.#at.inbox + rank * lines(count * bytesOf(type));
  }

  /** Sends this rank's part of the bucket to others, and gets theirs. */
  *#shareParts(
    type: Type,
    parts: readonly [number, number][],
    to: readonly number[],
    from: readonly number[] = to,
  ): Generator<number, void, void> {
    yield* this.#exchange([
      ...from.map((rank) => this.#message(false, rank, type, this.#at.bucket, parts[rank]!)),
      ...to.map((rank) => this.#message(true, rank, type, this.#at.bucket, parts[this.#rank]!)),
    ]);
  }

  #message(isSend: boolean, rank: number, type: Type, offset: number, [from, to]: readonly [number, number]): Message {
    const bytes = bytesOf(type);
    return { isSend, rank, offset: offset + from * bytes, bytes: (to - from) * bytes };
  }

  /** Both ends know the length of each message, so empty ones are left out. */
  *#exchange(messages: readonly Message[], knowsWho = true): Generator<number, void, void> {
    const some = messages.filter(({ bytes }) => bytes > 0);
    if (some.length > 0) yield* this.#until(this.#carrier.begin(some, knowsWho));
  }

  *#until(turn: number): Generator<number, void, void> {
    while (this.#carrier.isPending(turn)) yield turn;
  }

  /** Elements of each rank in a bucket that all share. */
  #roomOfRank(type: Type): number {
    return 16 * Math.floor(this.#sizes.bucket / bytesOf(type) / this.#size / 16);
  }

  #bucket(type: Type, from: number, to: number): Numbers {
    return numbersAt(type, this.#memory, this.#at.bucket + from * bytesOf(type), to - from);
  }

  /** Copies elements into the bucket. An array that is gone is reported by `#agree`. */
  #put({ x, type, length }: Call, begin: number, at: number, count: number): void {
    if (count === 0 || isGone(x, length)) return;
    this.#bucket(type, at, at + count).set(slice(type, x, begin, begin + count));
  }

  /** Copies values into the user's array. */
  #take({ x, type, length }: Call, begin: number, values: Numbers): void {
    if (values.length === 0 || isGone(x, length)) return;
    slice(type, x, begin, begin + values.length).set(values);
  }

  /** Offset of a rank's header among those of all. Where others carry them, the own one is the first. */
  #headerAt(rank: number): number {
    const { direct, inline } = this.#sizes;
    const index = this.#size <= direct ? rank : (rank - this.#rank + this.#size) % this.#size;
    return this.#at.headers + index * (headerBytes + inline);
  }

  #payload(rank: number, type: Type, begin: number, end: number): Numbers {
    return numbersAt(type, this.#memory, this.#headerAt(rank) + headerBytes + begin * bytesOf(type), end - begin);
  }

  /**
   * Gives the own header to all ranks, with `count` elements of x from `begin` on, and gets theirs. Compares the headers before
   * other data move. Every rank reads the same headers, so all come to the same end.
   */
  *#agree(call: Call, number: number, begin = 0, count = 0): Generator<number, readonly Posted[], void> {
    const { kind, type, length, op, root, caller, x } = call;
    const missing = isGone(x, length);
    this.#post({ kind, type, length, op, root, caller, isGone: missing });
    if (count > 0 && !missing) this.#payload(this.#rank, type, 0, count).set(slice(type, x, begin, begin + count));
    yield* this.#size <= this.#sizes.direct ? this.#swap(count * bytesOf(type)) : this.#pass();
    const headers = Array.from({ length: this.#size }, (_, rank) => this.#read(rank));
    const loss = leaverOf(number, headers);
    if (loss !== undefined) throw this.#carrier.lose(loss);
    if (headers.some((header) => header.kind === 'failure'))
      throw failureOf(headers, yield* this.#gatherBytes(reasonOf(call), number));
    const error = disagreement(number, headers);
    if (error !== undefined) throw error;
    const without = headers.findIndex((header) => header.isGone);
    if (without >= 0) throw ofAllRanks(this.#gone(call, number, without));
    return headers;
  }

  /** Headers and what is with them from each rank to each: a rank that does not come is known by its name. */
  *#swap(payload: number): Generator<number, void, void> {
    const offset = this.#headerAt(this.#rank);
    const most = headerBytes + this.#sizes.inline;
    yield* this.#exchange([
      ...this.#others.map((rank) => ({ isSend: false, rank, offset: this.#headerAt(rank), bytes: most })),
      ...this.#others.map((rank) => ({ isSend: true, rank, offset, bytes: headerBytes + payload })),
    ]);
  }

  /** Each rank passes on all headers that it has: after ⌈log₂ size⌉ exchanges all have all (Bruck et al. 1997). */
  *#pass(): Generator<number, void, void> {
    const [rank, size] = [this.#rank, this.#size];
    const { headers } = this.#at;
    for (let d = 1; d < size; d *= 2) {
      const bytes = headerBytes * Math.min(d, size - d);
      const receive = { isSend: false, rank: (rank + d) % size, offset: headers + headerBytes * d, bytes };
      const send = { isSend: true, rank: (rank - d + size) % size, offset: headers, bytes };
      yield* this.#exchange([receive, send], false);
    }
  }

  #post({ kind, type, length, op, root, caller, isGone }: Posted): void {
    const header = this.#headers[this.#rank]!;
    header[0] = kinds.indexOf(kind);
    header[1] = types.indexOf(type);
    header[2] = length;
    header[3] = op === undefined ? -1 : ops.indexOf(op);
    header[4] = root ?? -1;
    header[5] = isGone ? 1 : 0;
    header[6] = numberOf(caller);
  }

  #read(rank: number): Posted {
    const header = this.#headers[rank]!;
    const root = header[4]!;
    return {
      kind: kinds[header[0]!]!,
      type: types[header[1]!]!,
      length: header[2]!,
      op: ops[header[3]!],
      root: root === -1 ? undefined : root,
      caller: callerOf(header[6]!),
      isGone: header[5] === 1,
    };
  }

  #gone({ kind, type }: Call, number: number, rank: number): TypeError {
    return gone(`World: ${kind} #${number}`, type, `on rank ${rank}, expected one that stays until the call settles`);
  }
}
