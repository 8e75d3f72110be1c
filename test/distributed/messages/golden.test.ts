// The collectives of MPI over messages that this file carries: so they are tested without an MPI, and with more ranks than a
// machine has cores.
import { describe, expect, test } from 'vitest';
import { RankError } from '../../../lib/distributed/errors.js';
import { type Carrier, Collectives, type Sizes } from '../../../lib/distributed/mpi/collectives.js';
import type { Message } from '../../../lib/distributed/mpi/exchanges.js';
import type { Steps } from '../../../lib/distributed/world/call-queue.js';
import type { Call, Kind, Outcome } from '../../../lib/distributed/world/transport.js';

/** Delivers messages between ranks in the order of their sends, as MPI does. */
class Post {
  /** Sends and receives that wait for their other end, by sender and receiver. */
  readonly #sends = new Map<string, Uint8Array[]>();
  readonly #receives = new Map<string, { into: Uint8Array; done: () => void }[]>();
  longest = 0;

  carrier(rank: number, size: number): Carrier {
    let memory = new ArrayBuffer(0);
    let waiting = 0;
    let turn = 0;
    return {
      rank,
      size,
      memory: (bytes) => {
        memory = new ArrayBuffer(bytes);
        return memory;
      },
      begin: (messages: readonly Message[]) => {
        expect(waiting, 'exchanges at once').toBe(0);
        for (const { isSend, rank: other, offset, bytes, most } of messages) {
          const view = new Uint8Array(memory, offset, isSend ? bytes : most);
          if (isSend) this.#send(`${rank} ${other}`, view.slice());
          else {
            waiting++;
            this.#receive(`${other} ${rank}`, view, () => waiting--);
          }
        }
        return ++turn;
      },
      checkWhole: () => undefined,
      isPending: (asked) => asked === turn && waiting > 0,
      leave: () => ++turn,
      lose: (loss) => new RankError(loss),
    };
  }

  #send(way: string, bytes: Uint8Array): void {
    this.longest = Math.max(this.longest, bytes.length);
    const receive = this.#receives.get(way)?.shift();
    if (receive !== undefined) this.#deliver(bytes, receive);
    else this.#sends.set(way, [...(this.#sends.get(way) ?? []), bytes]);
  }

  #receive(way: string, into: Uint8Array, done: () => void): void {
    const bytes = this.#sends.get(way)?.shift();
    if (bytes !== undefined) this.#deliver(bytes, { into, done });
    else this.#receives.set(way, [...(this.#receives.get(way) ?? []), { into, done }]);
  }

  #deliver(bytes: Uint8Array, { into, done }: { into: Uint8Array; done: () => void }): void {
    expect(bytes.length, 'a message longer than its memory').toBeLessThanOrEqual(into.length);
    into.set(bytes);
    done();
  }

  get isEmpty(): boolean {
    return [...this.#sends.values(), ...this.#receives.values()].every((list) => list.length === 0);
  }
}

type Made = Omit<Call, 'length' | 'type' | 'timeout'> & { readonly length?: number };

/** Runs a list of calls on each rank. Returns what each call gives, by rank. */
function run(size: number, sizes: Sizes, callsOf: (rank: number) => Made[]): (Outcome | Error)[][] {
  const post = new Post();
  const ranks = Array.from({ length: size }, (_, rank) => {
    const collectives = new Collectives(post.carrier(rank, size), sizes);
    const calls = callsOf(rank);
    const results: (Outcome | Error)[] = [];
    let steps: Steps | undefined;
    return {
      results,
      /** Goes on until it waits. Returns whether all calls are over. */
      go(): boolean {
        while (results.length < calls.length) {
          const made = calls[results.length]!;
          const type = made.x.constructor.name as Call['type'];
          steps ??= collectives.run({ length: made.x.length, ...made, type, timeout: 1 }, results.length + 1);
          try {
            const step = steps.next();
            if (step.done !== true) return false;
            results.push(step.value);
          } catch (error) {
            results.push(error as Error);
          }
          steps = undefined;
        }
        return true;
      },
    };
  });
  for (let rounds = 0; !ranks.map((rank) => rank.go()).every(Boolean); rounds++)
    if (rounds > 10_000) throw new Error('ranks that wait for ever');
  expect(post.isEmpty, 'messages that nobody waits for').toBe(true);
  return ranks.map(({ results }) => results);
}

/** Values of many magnitudes, so that another order of a sum has other bits. */
function value(rank: number, i: number): number {
  let h = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(rank + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h ^= h >>> 13;
  return ((h >>> 0) / 2 ** 31 - 1) * 2 ** (h & 31);
}
const floats = (rank: number, length: number): Float32Array => Float32Array.from({ length }, (_, i) => value(rank, i));

/** Sums of neighbours, then of neighbours of those. */
function tree(size: number, length: number): Float32Array {
  let round = Array.from({ length: size }, (_, rank) => floats(rank, length));
  while (round.length > 1)
    round = round.flatMap((x, i) =>
      i % 2 === 1 ? [] : [round[i + 1] === undefined ? x : x.map((v, k) => v + round[i + 1]![k]!)],
    );
  return round[0]!;
}

const bitsOf = (x: Float32Array): string => Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex');
/** [begin, end) of each rank: whole lines of 16, the first ranks one more. */
function parts(length: number, size: number): [number, number][] {
  const blocks = Math.ceil(length / 16);
  let begin = 0;
  return Array.from({ length: size }, (_, rank) => {
    const end = Math.min(length, begin + 16 * (Math.floor(blocks / size) + (rank < blocks % size ? 1 : 0)));
    const part: [number, number] = [begin, end];
    begin = end;
    return part;
  });
}

// Small buckets, so that short arrays take several. With `direct: 2` headers go by others' hands.
describe.each([2, 3, 5, 8, 13])('%i ranks', (size) => {
  test.each([
    ['headers from each to each', { extra: 64, bucket: 16 * 4 * 64, direct: 64 }],
    ['headers by others', { extra: 64, bucket: 16 * 4 * 64, direct: 2 }],
  ])('%s: the bits of the order, at all lengths', (_, sizes) => {
    for (const length of [0, 1, 16, 17, 700, 2100]) {
      const root = size - 1;
      const own = Array.from({ length: size }, (_, rank) => ({
        sum: floats(rank, length),
        part: floats(rank, length),
        dealt: floats(rank, length),
        gathered: floats(99, length).map((v, i) => {
          const [begin, end] = parts(length, size)[rank]!;
          return i >= begin && i < end ? v : 0;
        }),
        dealtToAll: Uint8Array.from({ length: size * length }, (_, i) => value(rank, i)),
        bytes: new Uint8Array(rank === 1 ? length : 3 * rank).fill(rank + 1),
      }));
      const results = run(size, sizes, (rank) => {
        const { sum, part, dealt, dealtToAll, gathered, bytes } = own[rank]!;
        return [
          { kind: 'allToAll', x: dealtToAll },
          { kind: 'allReduce', x: sum, op: 'sum' },
          { kind: 'reduceScatter', x: part, op: 'sum' },
          { kind: 'broadcast', x: dealt, root },
          { kind: 'allGather', x: gathered },
          { kind: 'allGatherObject', x: bytes },
          { kind: 'close', x: new Uint8Array(0) },
        ];
      });
      const sums = tree(size, length);
      for (const [rank, { sum, part, dealt, dealtToAll, gathered }] of own.entries()) {
        const [begin, end] = parts(length, size)[rank]!;
        expect(bitsOf(sum)).toBe(bitsOf(sums));
        expect(bitsOf(part.slice(begin, end))).toBe(bitsOf(sums.slice(begin, end)));
        // Part r comes from rank r, which had it as the part of this rank.
        const fromAll = Uint8Array.from({ length: size * length }, (_, i) =>
          value(Math.floor(i / length), rank * length + (i % length)),
        );
        expect(Buffer.compare(dealtToAll, fromAll)).toBe(0);
        expect(bitsOf(dealt)).toBe(bitsOf(floats(root, length)));
        expect(bitsOf(gathered)).toBe(bitsOf(floats(99, length)));
        expect(results[rank]![5]).toEqual(own.map(({ bytes }) => bytes));
      }
    }
  });
});

test('the order matters for these values', () => {
  const plain = new Float32Array(700);
  for (let rank = 0; rank < 5; rank++) for (let i = 0; i < 700; i++) plain[i]! += value(rank, i);
  expect(bitsOf(plain)).not.toBe(bitsOf(tree(5, 700)));
});

test.each([2, 64])(
  'differences are the same RangeError on every rank, and the next call is right (direct: %i)',
  (direct) => {
    const size = 5;
    const kind = (rank: number): Kind => (rank === 4 ? 'reduceScatter' : 'allReduce');
    const sums = Array.from({ length: size }, (_, rank) => floats(rank, 300));
    const results = run(size, { extra: 64, bucket: 4096, direct }, (rank) => [
      { kind: 'allReduce', x: new Float32Array(rank === 3 ? 4 : 400), op: 'sum' },
      { kind: kind(rank), x: new Float32Array(4), op: 'sum' },
      { kind: 'allReduce', x: new Float32Array(400), op: 'sum' },
      { kind: 'allReduce', x: new Float32Array(rank === 2 ? 3 : 400), length: 400, op: 'sum' }, // shrunk on rank 2
      { kind: 'allReduce', x: sums[rank]!, op: 'sum' },
      { kind: rank === 1 ? 'leave' : 'barrier', x: new Uint8Array(0) },
    ]);
    for (const [rank, result] of results.entries()) {
      expect(
        result.map((each) => (each instanceof Error ? `${each.name}: ${each.message.slice(0, 60)}` : 'ok')),
      ).toEqual([
        'RangeError: World: allReduce #1: rank 0 length 400, rank 3 length 4',
        'RangeError: World: allReduce #2: rank 0 allReduce, rank 4 reduceScatter',
        'ok',
        'TypeError: World: allReduce #4: x: a detached or out-of-bounds Float32A',
        'ok',
        'RankError: World: rank 1: left the job without taking part in barrier #',
      ]);
      expect(bitsOf(sums[rank]!)).toBe(bitsOf(tree(size, 300)));
    }
  },
);
