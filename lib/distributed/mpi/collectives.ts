// Each collective over messages, as a generator: it yields the turn of the exchange that it waits for.
//
// With its first message to a rank each rank sends the header of its call, and with it what that rank needs: an exchange takes long,
// whatever its length. Long arrays go in buckets. Nothing is sent out of a user's array or received into it, because MPI may
// still write after a deadline.

import { type Loss, ofAllRanks } from '../errors.js';
import type { Steps } from '../world/call-queue.js';
import { callerOf, numberOf } from '../world/callers.js';
import { bytesOf, gone, isGone, numbersAt, slice } from '../world/numbers.js';
import { reduceInOrder } from '../world/ordered-sum.js';
import { partition } from '../world/partition.js';
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
} from '../world/transport.js';
import type { Message } from './exchanges.js';

/** What carries messages between ranks. */
export interface Carrier {
  readonly rank: number;
  readonly size: number;
  memory(bytes: number): ArrayBuffer;
  begin(messages: readonly Message[], knowsWho: boolean): number;
  isPending(turn: number): boolean;
  /** @throws the error of a broken world */
  checkWhole(): void;
  leave(): number;
  lose(loss: Loss): Error;
}

export interface Sizes {
  /** Bytes that a rank may send beyond the least for a sum, to save an exchange. */
  readonly extra: number;
  /** Bytes of a bucket. */
  readonly bucket: number;
  /** With more ranks, headers go by others' hands: ⌈log₂ size⌉ exchanges in place of size − 1 messages. */
  readonly direct: number;
}

const usual: Sizes = { extra: 32 << 10, bucket: 4 << 20, direct: 64 };

/** A header on its way. */
interface Posted extends Header {
  readonly isGone: boolean;
}

/** Elements of an array. */
type Range = readonly [begin: number, end: number];

const line = 64;
const lines = (bytes: number): number => line * Math.ceil(bytes / line);
/** A header takes a line. */
const headerLength = line / Float64Array.BYTES_PER_ELEMENT;
const none: Outcome = [];
const nothing: Range = [0, 0];

/** The collectives of one rank. */
export class Collectives {
  readonly #carrier: Carrier;
  readonly #rank: number;
  readonly #size: number;
  readonly #bucket: number;
  /** Whether each rank gives its header to each. */
  readonly #isDirect: boolean;
  /** Bytes that may come with a header. */
  readonly #room: number;
  /** Arrays of at most so many bytes go to all ranks whole. */
  readonly #short: number;
  readonly #memory: ArrayBuffer;
  /** Where what goes to each rank lies in the memory, and what comes from it: a header, and elements. */
  readonly #outbox: readonly number[];
  readonly #inbox: readonly number[];
  /** Where the headers begin that others carry. The own one is the first. */
  readonly #carried: number;
  /** The other ranks, each rank beginning with the one after it. */
  readonly #others: readonly number[];
  /** The own header to each rank, and that of each rank. */
  readonly #outHeaders: readonly Float64Array[];
  readonly #headers: readonly Float64Array[];

  constructor(carrier: Carrier, { extra, bucket, direct }: Sizes = usual) {
    const { rank, size } = carrier;
    this.#carrier = carrier;
    this.#rank = rank;
    this.#size = size;
    this.#bucket = bucket;
    this.#isDirect = size <= direct;
    // The first parts of a bucket are longer than others, by 16 elements.
    this.#room = lines(bucket / size) + 16 * Float64Array.BYTES_PER_ELEMENT;
    // A whole array to each, instead of a part to each twice.
    this.#short = Math.min(this.#room, size <= 2 ? this.#room : extra / ((size - 1) * (1 - 2 / size)));
    const slot = line + this.#room;
    const ranks = Array.from({ length: size }, (_, each) => each);
    this.#outbox = ranks.map((each) => slot * each);
    this.#inbox = ranks.map((each) => slot * (size + each));
    this.#carried = 2 * size * slot;
    const memory = carrier.memory(this.#carried + (this.#isDirect ? 0 : line * size));
    this.#memory = memory;
    this.#others = ranks.slice(1).map((i) => (rank + i) % size);
    const headerAt = (offset: number): Float64Array => new Float64Array(memory, offset, headerLength);
    this.#outHeaders = this.#outbox.map(headerAt);
    this.#headers = ranks.map((each) => {
      if (!this.#isDirect) return headerAt(this.#carried + line * ((each - rank + size) % size));
      return headerAt((each === rank ? this.#outbox : this.#inbox)[each]!);
    });
  }

  /** Runs a call, the `number`-th of this rank. */
  *run(call: Call, number: number): Steps {
    // MPI may still read what an exchange that was given up has left in the memory.
    this.#carrier.checkWhole();
    const outcome = yield* this.#stepsOf(call, number);
    if (isGone(call.x, call.length)) throw this.#gone(call, number, this.#rank);
    return outcome;
  }

  #stepsOf(call: Call, number: number): Steps {
    const isShort = bytesOf(call.type) * call.length <= this.#short;
    switch (call.kind) {
      case 'allReduce':
        return isShort ? this.#allReduceShort(call, number) : this.#allReduce(call, number);
      case 'reduceScatter':
        return this.#reduceScatter(call, number);
      case 'allGather':
        return this.#allGather(call, number);
      case 'allToAll':
        return this.#allToAll(call, number);
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
    yield* this.#meet(call, number);
    return none;
  }

  *#leave(call: Call, number: number): Steps {
    yield* this.#meet(call, number);
    yield* this.#until(this.#carrier.leave());
    return none;
  }

  /** Each rank sums all. */
  *#allReduceShort(call: Call, number: number): Steps {
    const { length } = call;
    yield* this.#meet(call, number, [[0, length]], () => length);
    this.#take(call, 0, this.#sum(call, length));
    return none;
  }

  /** Each rank sums its part of a bucket, then gives it to all. */
  *#allReduce(call: Call, number: number): Steps {
    const { type } = call;
    for (const parts of this.#buckets(call)) {
      const [from, to] = parts[this.#rank]!;
      yield* this.#meet(call, number, parts, () => to - from);
      const sums = this.#sum(call, to - from);
      yield* this.#share(type, parts, this.#receivedAt(0), this.#others, this.#others);
      for (const rank of this.#others) this.#take(call, parts[rank]![0], this.#shared(type, rank, parts[rank]!));
      this.#take(call, from, sums);
    }
    return none;
  }

  /** A bucket has a piece of each rank's part, so that all ranks sum equally much. */
  *#reduceScatter(call: Call, number: number): Steps {
    for (const pieces of this.#rounds(call, partition(call.length, this.#size))) {
      const [from, to] = pieces[this.#rank]!;
      yield* this.#meet(call, number, pieces, () => to - from);
      this.#take(call, from, this.#sum(call, to - from));
    }
    return none;
  }

  *#allGather(call: Call, number: number): Steps {
    for (const pieces of this.#rounds(call, partition(call.length, this.#size))) {
      const lengthOf = (rank: number): number => pieces[rank]![1] - pieces[rank]![0];
      yield* this.#meet(call, number, [pieces[this.#rank]!], lengthOf);
      for (const rank of this.#others)
        this.#take(call, pieces[rank]![0], this.#received(call.type, rank, lengthOf(rank)));
    }
    return none;
  }

  /** The parts are equally long. What comes from a rank takes the place of what went to it. */
  *#allToAll(call: Call, number: number): Steps {
    const each = call.length / this.#size;
    const parts = Array.from({ length: this.#size }, (_, rank): Range => [rank * each, (rank + 1) * each]);
    for (const pieces of this.#rounds(call, parts)) {
      const count = pieces[0]![1] - pieces[0]![0];
      yield* this.#meet(call, number, pieces, () => count);
      for (const rank of this.#others) this.#take(call, pieces[rank]![0], this.#received(call.type, rank, count));
    }
    return none;
  }

  *#broadcastShort(call: Call, number: number): Steps {
    const { type, length, root = 0 } = call;
    const isRoot = root === this.#rank;
    yield* this.#meet(call, number, [isRoot ? [0, length] : nothing], (rank) => (rank === root ? length : 0));
    if (!isRoot) this.#take(call, 0, this.#received(type, root, length));
    return none;
  }

  /** The root deals a bucket out, then all give their part to all: it sends no more than twice the bucket. */
  *#broadcast(call: Call, number: number): Steps {
    const { type, root = 0 } = call;
    const isRoot = root === this.#rank;
    const others = this.#others.filter((rank) => rank !== root);
    for (const parts of this.#buckets(call)) {
      const [from, to] = parts[this.#rank]!;
      yield* this.#meet(call, number, isRoot ? parts : [nothing], (rank) => (rank === root ? to - from : 0));
      yield* this.#share(type, parts, this.#receivedAt(root), others, isRoot ? [] : this.#others);
      if (isRoot) continue;
      for (const rank of this.#others) this.#take(call, parts[rank]![0], this.#shared(type, rank, parts[rank]!));
      this.#take(call, from, this.#received(type, root, to - from));
    }
    return none;
  }

  /** Gives all ranks the bytes of each. Their lengths differ, and stand in the headers. */
  *#gatherBytes(call: Call, number: number): Steps {
    const room = this.#room;
    const ownLength = call.length;
    const countOf = (rank: number, done: number): number =>
      Math.max(0, Math.min(this.#headers[rank]![Word.length]! - done, room));
    yield* this.#meet(call, number, [[0, Math.min(ownLength, room)]], (rank) => countOf(rank, 0));
    const all = this.#headers.map((header) => new Uint8Array(header[Word.length]!));
    const longest = Math.max(...all.map(({ length }) => length));
    for (let done = 0; ; ) {
      for (const [rank, bytes] of all.entries())
        if (done < bytes.length) bytes.set(this.#received('Uint8Array', rank, countOf(rank, done)) as Uint8Array, done);
      done += room;
      if (done >= longest) return all;
      this.#put(call, this.#outbox[this.#rank]!, [Math.min(done, ownLength), Math.min(done + room, ownLength)]);
      yield* this.#exchangeElements('Uint8Array', [countOf(this.#rank, done)], (rank) => countOf(rank, done));
    }
  }

  /** The parts of each bucket, by rank. */
  *#buckets({ type, length }: Call): Generator<readonly Range[], void, void> {
    const room = this.#bucket / bytesOf(type);
    for (let begin = 0; begin < length; begin += room)
      yield partition(Math.min(length - begin, room), this.#size).map(([from, to]) => [begin + from, begin + to]);
  }

  /** A piece of each rank's part after the other. The first part is the longest. At least once: an empty array is a call, too. */
  *#rounds({ type }: Call, parts: readonly Range[]): Generator<readonly Range[], void, void> {
    const room = Math.floor(this.#room / bytesOf(type));
    const [begin, end] = parts[0]!;
    for (let done = 0; done === 0 || done < end - begin; done += room)
      yield parts.map(([from, to]) => [Math.min(from + done, to), Math.min(from + done + room, to)]);
  }

  /** Sums what has come from all ranks, in the order of the contract. The sums lie where that of rank 0 lay. */
  #sum({ type, op = 'sum' }: Call, count: number): Numbers {
    const all = Array.from({ length: this.#size }, (_, rank) => this.#received(type, rank, count));
    if (count > 0) reduceInOrder(all, op);
    return all[0]!;
  }

  /** Where what a rank has sent lies; the own part never left. */
  #receivedAt(rank: number): number {
    return line + (rank === this.#rank ? this.#outbox : this.#inbox)[rank]!;
  }

  #received(type: Type, rank: number, count: number): Numbers {
    return numbersAt(type, this.#memory, this.#receivedAt(rank), count);
  }

  /** Sends this rank's part, which lies at `offset`, to others, and gets theirs. They lie where what went to them lay. */
  *#share(
    type: Type,
    parts: readonly Range[],
    offset: number,
    to: readonly number[],
    from: readonly number[],
  ): Generator<number, void, void> {
    const bytes = (rank: number): number => (parts[rank]![1] - parts[rank]![0]) * bytesOf(type);
    yield* this.#exchange([
      ...from.map((rank) => received(rank, line + this.#outbox[rank]!, bytes(rank))),
      ...to.map((rank) => sent(rank, offset, bytes(this.#rank))),
    ]);
  }

  #shared(type: Type, rank: number, [begin, end]: Range): Numbers {
    return numbersAt(type, this.#memory, line + this.#outbox[rank]!, end - begin);
  }

  /** Both ends know the length of each message, so empty ones are left out. */
  *#exchange(messages: readonly Message[], knowsWho = true): Generator<number, void, void> {
    const some = messages.filter(({ bytes }) => bytes > 0);
    if (some.length > 0) yield* this.#until(this.#carrier.begin(some, knowsWho));
  }

  *#until(turn: number): Generator<number, void, void> {
    while (this.#carrier.isPending(turn)) yield turn;
  }

  /** Copies elements behind a header. An array that is gone is reported by `#meet`. */
  #put({ x, type, length }: Call, slot: number, [begin, end]: Range): void {
    if (begin === end || isGone(x, length)) return;
    numbersAt(type, this.#memory, slot + line, end - begin).set(slice(type, x, begin, end));
  }

  /** Copies values into the user's array. */
  #take({ x, type, length }: Call, begin: number, values: Numbers): void {
    if (values.length === 0 || isGone(x, length)) return;
    slice(type, x, begin, begin + values.length).set(values);
  }

  /**
   * Gives a range of x to each rank, or one range to all, and the header of the call with it. Compares the headers before anything
   * else is done: every rank reads the same ones, so all come to the same end.
   *
   * @param incoming How many elements come from a rank if the ranks agree.
   */
  *#meet(
    call: Call,
    number: number,
    ranges: readonly Range[] = [nothing],
    incoming: (rank: number) => number = () => 0,
  ): Generator<number, void, void> {
    const isMissing = isGone(call.x, call.length);
    for (const [i, range] of ranges.entries()) {
      const rank = ranges.length === 1 ? this.#rank : i;
      this.#post(this.#outHeaders[rank]!, call, isMissing);
      this.#put(call, this.#outbox[rank]!, range);
    }
    const counts = ranges.map(([begin, end]) => end - begin);
    if (this.#isDirect) yield* this.#swap(call.type, counts, incoming);
    else {
      this.#post(this.#headers[this.#rank]!, call, isMissing);
      yield* this.#pass();
    }
    yield* this.#check(call, number);
    if (!this.#isDirect) yield* this.#exchangeElements(call.type, counts, incoming);
  }

  /** @throws what differs between the ranks, or why one of them has failed */
  *#check(call: Call, number: number): Generator<number, void, void> {
    const own = this.#headers[this.#rank]!;
    const isAlike = (header: Float64Array): boolean => header.every((value, i) => value === own[i]);
    if (own[Word.isGone] === 0 && call.kind !== 'failure' && this.#headers.every(isAlike)) return;
    const headers = this.#headers.map(headerIn);
    const loss = leaverOf(number, headers);
    if (loss !== undefined) throw this.#carrier.lose(loss);
    if (headers.some(({ kind }) => kind === 'failure'))
      throw failureOf(headers, yield* this.#gatherBytes(reasonOf(call), number));
    const error = disagreement(number, headers);
    if (error !== undefined) throw error;
    const without = headers.findIndex((header) => header.isGone);
    if (without >= 0) throw ofAllRanks(this.#gone(call, number, without));
  }

  /** Headers and what is with them from each rank to each: a rank that does not come is known by its name. */
  *#swap(type: Type, counts: readonly number[], incoming: (rank: number) => number): Generator<number, void, void> {
    const most = line + this.#room;
    const bytes = bytesOf(type);
    yield* this.#exchange([
      ...this.#others.map((rank) => received(rank, this.#inbox[rank]!, line + incoming(rank) * bytes, most)),
      ...this.#others.map((rank) => this.#outgoing(rank, line, counts, bytes)),
    ]);
  }

  /** Each rank passes on all headers that it has: after ⌈log₂ size⌉ exchanges all have all (Bruck et al. 1997). */
  *#pass(): Generator<number, void, void> {
    const [rank, size] = [this.#rank, this.#size];
    for (let d = 1; d < size; d *= 2) {
      const bytes = line * Math.min(d, size - d);
      const receive = received((rank + d) % size, this.#carried + line * d, bytes);
      const send = sent((rank - d + size) % size, this.#carried, bytes);
      yield* this.#exchange([receive, send], false);
    }
  }

  /** The elements alone: the headers have gone. */
  *#exchangeElements(
    type: Type,
    counts: readonly number[],
    incoming: (rank: number) => number,
  ): Generator<number, void, void> {
    const bytes = bytesOf(type);
    yield* this.#exchange([
      ...this.#others.map((rank) => received(rank, line + this.#inbox[rank]!, incoming(rank) * bytes)),
      ...this.#others.map((rank) => this.#outgoing(rank, 0, counts, bytes)),
    ]);
  }

  /** A header if it takes `header` bytes, and the elements to a rank. */
  #outgoing(rank: number, header: number, counts: readonly number[], bytes: number): Message {
    const [slot, count] = counts.length === 1 ? [this.#rank, counts[0]!] : [rank, counts[rank]!];
    return sent(rank, this.#outbox[slot]! + line - header, header + count * bytes);
  }

  #post(header: Float64Array, { kind, type, length, op, root, caller }: Call, isMissing: boolean): void {
    header[Word.kind] = kinds.indexOf(kind);
    header[Word.type] = types.indexOf(type);
    header[Word.length] = length;
    header[Word.op] = op === undefined ? -1 : ops.indexOf(op);
    header[Word.root] = root ?? -1;
    header[Word.isGone] = isMissing ? 1 : 0;
    header[Word.caller] = numberOf(caller);
  }

  #gone({ kind, type }: Call, number: number, rank: number): TypeError {
    return gone(`World: ${kind} #${number}`, type, `on rank ${rank}, expected one that stays until the call settles`);
  }
}

const Word = { kind: 0, type: 1, length: 2, op: 3, root: 4, isGone: 5, caller: 6 } as const;

function headerIn(words: Float64Array): Posted {
  const root = words[Word.root]!;
  return {
    kind: kinds[words[Word.kind]!]!,
    type: types[words[Word.type]!]!,
    length: words[Word.length]!,
    op: ops[words[Word.op]!],
    root: root === -1 ? undefined : root,
    caller: callerOf(words[Word.caller]!),
    isGone: words[Word.isGone] === 1,
  };
}

const sent = (rank: number, offset: number, bytes: number): Message => ({
  isSend: true,
  rank,
  offset,
  bytes,
  most: bytes,
});

/** @param bytes That are expected; `most`: that may come */
const received = (rank: number, offset: number, bytes: number, most = bytes): Message => ({
  isSend: false,
  rank,
  offset,
  bytes,
  most,
});
