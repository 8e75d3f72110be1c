// The memory that the ranks of a job share: words for the rendezvous, a header of each rank, and mail boxes.
import { callerOf, numberOf } from '../world/callers.js';
import { bytesOf, numbersAt } from '../world/numbers.js';
import { type Header, kinds, type Numbers, ops, type Type, types } from '../world/transport.js';
import { createPost, Post, type PostBuffers } from './post.js';

/** Bytes of a box. Longer arrays go in several turns. */
export const boxBytes = 4 << 20;

/** Each rank has two boxes and two headers: it fills one while others still read the other. */
const boxes = 2;

/** Index of each word. `finished` counts the ranks that are no longer expendable. Those of the ranks follow: `arrived`, `status`, and of a lost rank `missed` and its exit code. */
export const Word = { turn: 0, count: 1, lock: 2, causeBytes: 3, interrupted: 4, finished: 5, ranks: 16 } as const;

/** What a rank does in the job. */
export const Status = { absent: 0, joined: 1, closed: 2, aborted: 3, expendable: 4, lost: 5 } as const;

const wordsOfRank = 4;

const causeBytes = 1 << 16;
const headerNumbers = 8;

/** What the launcher hands to each thread. */
export interface SharedBuffers {
  readonly size: number;
  readonly control: SharedArrayBuffer;
  readonly mail: readonly SharedArrayBuffer[];
  readonly letters: PostBuffers;
}

const headersAt = (size: number): number => 64 * Math.ceil((4 * (Word.ranks + wordsOfRank * size)) / 64);
const causeAt = (size: number): number => headersAt(size) + 8 * headerNumbers * boxes * size;

export function createShared(size: number): SharedBuffers {
  return {
    size,
    control: new SharedArrayBuffer(causeAt(size) + causeBytes),
    // Memory that nobody touches costs nothing.
    mail: Array.from({ length: size }, () => new SharedArrayBuffer(boxes * boxBytes)),
    letters: createPost(size),
  };
}

/** What a rank says about its call, and whether its array is gone. */
export interface Posted extends Header {
  readonly isGone: boolean;
}

/** The views of one rank, or of the launcher. */
export class Shared {
  readonly size: number;
  readonly words: Int32Array;
  readonly letters: Post;
  readonly #mail: readonly SharedArrayBuffer[];
  readonly #headers: Float64Array;
  readonly #cause: Uint8Array;

  constructor({ size, control, mail, letters }: SharedBuffers) {
    this.size = size;
    this.words = new Int32Array(control, 0, Word.ranks + wordsOfRank * size);
    this.letters = new Post(size, letters);
    this.#headers = new Float64Array(control, headersAt(size), headerNumbers * boxes * size);
    this.#cause = new Uint8Array(control, causeAt(size), causeBytes);
    this.#mail = mail;
  }

  /** Part of a rank's box, in elements. */
  box(rank: number, turn: number, type: Type, begin: number, end: number): Numbers {
    const bytes = bytesOf(type);
    return numbersAt(type, this.#mail[rank]!, (turn % boxes) * boxBytes + begin * bytes, end - begin);
  }

  post(rank: number, turn: number, { kind, type, length, op, root, caller, isGone }: Posted): void {
    const at = headerNumbers * (boxes * rank + (turn % boxes));
    const headers = this.#headers;
    headers[at] = kinds.indexOf(kind);
    headers[at + 1] = types.indexOf(type);
    headers[at + 2] = length;
    headers[at + 3] = op === undefined ? -1 : ops.indexOf(op);
    headers[at + 4] = root ?? -1;
    headers[at + 5] = isGone ? 1 : 0;
    headers[at + 6] = numberOf(caller);
  }

  read(rank: number, turn: number): Posted {
    const at = headerNumbers * (boxes * rank + (turn % boxes));
    const [kind, type, length, op, root, gone, caller] = this.#headers.subarray(
      at,
      at + headerNumbers,
    ) as unknown as number[];
    return {
      kind: kinds[kind as number]!,
      type: types[type as number]!,
      length: length as number,
      op: ops[op as number],
      root: root === -1 ? undefined : root,
      caller: callerOf(caller as number),
      isGone: gone === 1,
    };
  }

  status(rank: number): number {
    return Atomics.load(this.words, Word.ranks + this.size + rank);
  }

  setStatus(rank: number, status: number): void {
    Atomics.store(this.words, Word.ranks + this.size + rank, status);
  }

  /** Notes that a rank is gone, and the first meeting that it misses. */
  setLost(rank: number, exitCode: number): void {
    const arrived = Atomics.load(this.words, Word.ranks + rank);
    Atomics.store(this.words, Word.ranks + 2 * this.size + rank, arrived);
    Atomics.store(this.words, Word.ranks + 3 * this.size + rank, exitCode);
    this.setStatus(rank, Status.lost);
  }

  /** The first meeting that a lost rank misses, and its exit code; undefined for any other rank. */
  lossOf(rank: number): { readonly missed: number; readonly exitCode: number } | undefined {
    if (this.status(rank) !== Status.lost) return undefined;
    const at = Word.ranks + 2 * this.size + rank;
    return { missed: Atomics.load(this.words, at), exitCode: Atomics.load(this.words, at + this.size) };
  }

  /** Why the world is broken. Its writer holds the lock. */
  writeCause(cause: object): void {
    const bytes = Buffer.from(JSON.stringify(cause));
    this.#cause.set(bytes.subarray(0, causeBytes));
    Atomics.store(this.words, Word.causeBytes, Math.min(bytes.length, causeBytes));
  }

  readCause(): unknown {
    const bytes = this.#cause.slice(0, Atomics.load(this.words, Word.causeBytes));
    return JSON.parse(Buffer.from(bytes).toString());
  }
}
