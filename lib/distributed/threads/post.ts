// The memory of the messages between ranks: a ring of bytes for each pair, and a bell for each rank.

/** Bytes of a ring, a power of two. Longer messages pass through it in pieces. */
export const ringBytes = 1 << 17;

/** What the launcher hands to each thread. */
export interface PostBuffers {
  readonly control: SharedArrayBuffer;
  /** The rings to each rank: one from every rank. */
  readonly rings: readonly SharedArrayBuffer[];
}

export function createPost(size: number): PostBuffers {
  return {
    control: new SharedArrayBuffer(4 * (size + 2 * size * size)),
    // Memory that nobody touches costs nothing.
    rings: Array.from({ length: size }, () => new SharedArrayBuffer(ringBytes * size)),
  };
}

/** Bytes from one rank to another. One of them writes, the other reads. */
export class Ring {
  readonly #words: Int32Array;
  /** Indices of the words that count the bytes written and read, modulo 2³². */
  readonly #written: number;
  readonly #read: number;
  readonly #bytes: Uint8Array;

  constructor(words: Int32Array, written: number, read: number, bytes: Uint8Array) {
    this.#words = words;
    this.#written = written;
    this.#read = read;
    this.#bytes = bytes;
  }

  /** Writes as many bytes as there is room for, and returns their number. */
  write(source: Uint8Array): number {
    const end = Atomics.load(this.#words, this.#written);
    const room = ringBytes - ((end - Atomics.load(this.#words, this.#read)) | 0);
    const count = Math.min(room, source.length);
    if (count === 0) return 0;
    const at = end & (ringBytes - 1);
    const first = Math.min(count, ringBytes - at);
    this.#bytes.set(source.subarray(0, first), at);
    if (first < count) this.#bytes.set(source.subarray(first, count), 0);
    Atomics.store(this.#words, this.#written, (end + count) | 0);
    return count;
  }

  /** Fills as much of an array as there are bytes for, and returns their number. */
  read(target: Uint8Array): number {
    const begin = Atomics.load(this.#words, this.#read);
    const count = Math.min((Atomics.load(this.#words, this.#written) - begin) | 0, target.length);
    if (count === 0) return 0;
    const at = begin & (ringBytes - 1);
    const first = Math.min(count, ringBytes - at);
    target.set(this.#bytes.subarray(at, at + first));
    if (first < count) target.set(this.#bytes.subarray(0, count - first), first);
    Atomics.store(this.#words, this.#read, (begin + count) | 0);
    return count;
  }
}

/** The views of one rank, or of the launcher. */
export class Post {
  /** The bells of the ranks come first. A rank reads its bell, looks around, and sleeps until the bell has rung. */
  readonly words: Int32Array;
  readonly #size: number;
  readonly #rings: readonly SharedArrayBuffer[];

  constructor(size: number, { control, rings }: PostBuffers) {
    this.#size = size;
    this.words = new Int32Array(control);
    this.#rings = rings;
  }

  ring(from: number, to: number): Ring {
    const size = this.#size;
    const written = size + from * size + to;
    const bytes = new Uint8Array(this.#rings[to]!, from * ringBytes, ringBytes);
    return new Ring(this.words, written, written + size * size, bytes);
  }

  /** Tells a rank that something has changed. */
  ringBell(rank: number): void {
    Atomics.add(this.words, rank, 1);
    Atomics.notify(this.words, rank);
  }

  ringAll(): void {
    for (let rank = 0; rank < this.#size; rank++) this.ringBell(rank);
  }
}
