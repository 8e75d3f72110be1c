import { checkLength, copyInto, isDetached, ofThisRealm } from '../check/typed-array.js';

/**
 * Memory of one array of an optimizer's state. User code can neither free nor move it, so a step on another thread may
 * use it. It is read and written as a whole.
 */
export interface Block {
  readonly length: number;
  /** A copy, in an ordinary ArrayBuffer. */
  read(): Float32Array;
  /** @param source An array of the same length. */
  write(source: Float32Array): void;
  fill(value: number): void;
  /** The live memory as an array, for members such as `emaParams`: the same array each time, until it is detached. */
  view(): Float32Array;
  /** Refuses a block whose memory user code took away through a view. @throws TypeError */
  check(who: string, path: string): void;
  /** Frees the memory at once. A view that user code may hold keeps it alive. */
  free(): void;
}

/**
 * A block in a JavaScript array, for the JavaScript engine and for runtimes without external memory. Here the view is
 * the memory.
 */
export class ArrayBlock implements Block {
  array: Float32Array;
  readonly length: number;

  constructor(array: Float32Array) {
    this.array = array;
    this.length = array.length;
  }

  read(): Float32Array {
    const copy = new Float32Array(this.length);
    copyInto(copy, this.array);
    return copy;
  }

  write(source: Float32Array): void {
    copyInto(this.array, source);
  }

  fill(value: number): void {
    for (let i = 0; i < this.length; i++) this.array[i] = value;
  }

  view(): Float32Array {
    return this.array;
  }

  check(who: string, path: string): void {
    checkLength(who, path, this.array, this.length);
  }

  free(): void {
    this.array = new Float32Array(0);
  }
}

/** The addon's functions for blocks. */
export interface BlockFunctions {
  /** @param offset Where in a page of memory a large block begins, in bytes. */
  createBlock(length: number, offset?: number): object | undefined;
  readBlock(block: object, array: Float32Array): void;
  writeBlock(block: object, array: Float32Array): void;
  fillBlock(block: object, value: number): void;
  viewBlock(block: object): Float32Array | undefined;
  freeBlock(block: object): void;
}

/** A block of the addon's allocator. Its views come and go; the memory stays. */
export class NativeBlock implements Block {
  /** What the addon's plans take. */
  readonly handle: object;
  readonly length: number;
  readonly #addon: BlockFunctions;
  readonly #zeros: (length: number) => Float32Array;
  #view: Float32Array | undefined;

  constructor(addon: BlockFunctions, zeros: (length: number) => Float32Array, handle: object, length: number) {
    this.#addon = addon;
    this.#zeros = zeros;
    this.handle = handle;
    this.length = length;
  }

  read(): Float32Array {
    const copy = this.#zeros(this.length);
    this.#addon.readBlock(this.handle, copy);
    return copy;
  }

  write(source: Float32Array): void {
    this.#addon.writeBlock(this.handle, source);
  }

  fill(value: number): void {
    this.#addon.fillBlock(this.handle, value);
  }

  view(): Float32Array {
    if (this.#view === undefined || isDetached(this.#view))
      this.#view = ofThisRealm(this.#addon.viewBlock(this.handle) as Float32Array);
    return this.#view;
  }

  check(): void {}

  free(): void {
    this.#addon.freeBlock(this.handle);
    this.#view = undefined;
  }
}
