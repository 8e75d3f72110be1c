import { bufferOf, byteOffsetOf, lengthOf } from '../../check/typed-array.js';
import type { Ranges } from './divide.js';

/** An array and the elements `[begin, end)` that belong to each rank. */
export interface Owned {
  readonly array: Float32Array;
  readonly ranges: Ranges;
}

/** Some elements of an array in a stream. */
interface Piece<T> {
  readonly owned: T;
  readonly begin: number;
  readonly length: number;
  /** Where they begin in the stream. */
  readonly at: number;
}

/** What belongs to one rank in many arrays, in one line. */
export class Stream<T extends Owned = Owned> {
  readonly length: number;
  readonly #pieces: readonly Piece<T>[];

  constructor(all: readonly T[], rank: number) {
    let length = 0;
    this.#pieces = all.flatMap((owned) => {
      const [begin, end] = owned.ranges[rank]!;
      if (begin === end) return [];
      const at = length;
      length += end - begin;
      return [{ owned, begin, length: end - begin, at }];
    });
    this.length = length;
  }

  /** Visits `count` elements from `begin` on: the elements `[from, to)` of an array, which are `at` after `begin`. */
  visit(begin: number, count: number, visitor: (owned: T, from: number, to: number, at: number) => void): void {
    const end = Math.min(this.length, begin + count);
    for (let p = this.#pieceAt(begin); p < this.#pieces.length && this.#pieces[p]!.at < end; p++) {
      const { owned, at, length, begin: first } = this.#pieces[p]!;
      const [from, to] = [Math.max(begin, at), Math.min(end, at + length)];
      visitor(owned, first + from - at, first + to - at, from - begin);
    }
  }

  /** The piece that holds an element. */
  #pieceAt(element: number): number {
    let [low, high] = [0, this.#pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { at, length } = this.#pieces[middle]!;
      if (at + length <= element) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The streams of all ranks over a list of arrays. They have as many pieces as ranks times arrays, so they are kept as long as
 * the list stays the same.
 */
export class Streams<T extends Owned = Owned> {
  readonly #size: number;
  readonly #isSame: (a: T, b: T) => boolean;
  #all: readonly T[] = [];
  #streams: readonly Stream<T>[] = [];

  /** @param isSame Compares what the elements of a list have besides. */
  constructor(size: number, isSame: (a: T, b: T) => boolean = () => true) {
    this.#size = size;
    this.#isSame = isSame;
  }

  of(all: readonly T[]): readonly Stream<T>[] {
    const before = this.#all;
    const isKept =
      this.#streams.length > 0 &&
      all.length === before.length &&
      all.every((owned, i) => lieAlike(owned, before[i]!) && this.#isSame(owned, before[i]!));
    if (!isKept) {
      this.#all = all;
      this.#streams = Array.from({ length: this.#size }, (_, rank) => new Stream(all, rank));
    }
    return this.#streams;
  }
}

/** Whether two are the same memory, divided alike. The views of it may be others. */
function lieAlike({ array: a, ranges }: Owned, { array: b, ranges: before }: Owned): boolean {
  if (ranges !== before) return false;
  return a === b || (bufferOf(a) === bufferOf(b) && byteOffsetOf(a) === byteOffsetOf(b) && lengthOf(a) === lengthOf(b));
}
