import { bufferOf, byteOffsetOf, lengthOf } from '../check/typed-array.js';
import type { Block } from './block.js';
import { pieceLength } from './engine.js';
import type { Tensor } from './reference-walk.js';

// State in bfloat16, the upper half of a float32. The operations are those of native/kernels/bfloat16_state.h.

const infinity = 0x7f800000;
const largest = 0x7f7fffff;
const quietNaN = 0x7fc0;

/** The finisher of MurmurHash3: each bit of the result depends on all bits of x. */
function hashOf(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The seed of the rounding of two state arrays in one update of their param. */
function seedOf(update: number, pair: number): number {
  return hashOf(8 * update + pair);
}

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(bufferOf(x), byteOffsetOf(x), lengthOf(x));

/** The numbers as float32, which has all of them. */
export function widen(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length); // bits, because NaN may lose its payload as a JavaScript number
  for (let i = 0; i < bits.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

function rounded(bits: number, noise: number): number {
  const magnitude = bits & 0x7fffffff;
  if (magnitude > infinity) return quietNaN;
  const raised = magnitude === infinity ? infinity : Math.min(magnitude + noise, largest);
  return (raised >>> 16) | ((bits >>> 16) & 0x8000);
}

/** Rounds to the nearest number, ties to even. A number that bfloat16 has stays. A finite one stays finite. */
export function roundToNearest(source: Float32Array, halves: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < halves.length; i++) halves[i] = rounded(bits[i]!, 0x7fff + ((bits[i]! >>> 16) & 1));
}

/**
 * Rounds up or down by chance, so that the mean of the results is the number. The chance is a hash of the element's
 * index in the whole param and of the number of the update, so the result depends neither on threads nor on the division among ranks.
 */
export function roundStochastic(
  source: Float32Array,
  halves: Uint16Array,
  element: number,
  update: number,
  place: number,
): void {
  const bits = bitsOf(source);
  const seed = seedOf(update, place >>> 1);
  const shift = 16 * (place & 1); // two arrays share the hash of an element
  for (let i = 0; i < halves.length; i++) {
    const hash = hashOf((Math.imul(element + i, 0x9e3779b1) + seed) | 0);
    halves[i] = rounded(bits[i]!, (hash >>> shift) & 0xffff);
  }
}

/** Numbers on their way into a block: as many as the longest one has. */
let scratch = new Float32Array(0);
const one = new Float32Array(1);
const oneBits = bitsOf(one);

/** A state array in bfloat16, in the memory of a block of half as many floats. It is read and written as float32. */
export class Bfloat16Block implements Block {
  readonly length: number;
  /** What the plan works on: pairs of numbers. */
  readonly memory: Block;
  /** Index of the first element in the whole param, of which this may be the state of a part. */
  readonly firstElement: number;

  constructor(memory: Block, length: number, firstElement: number) {
    this.memory = memory;
    if (scratch.length < memory.length) scratch = new Float32Array(memory.length);
    this.length = length;
    this.firstElement = firstElement;
  }

  read(): Float32Array {
    return widen(this.#halvesIn(this.memory.read()));
  }

  /** Rounds to the nearest numbers: what `read` returned comes back exactly. It allocates nothing, so it cannot fail. */
  write(source: Float32Array): void {
    const pairs = scratch.subarray(0, this.memory.length);
    roundToNearest(source, this.#halvesIn(pairs));
    this.memory.write(pairs);
  }

  fill(value: number): void {
    const pairs = scratch.subarray(0, this.memory.length);
    one[0] = value;
    this.#halvesIn(pairs).fill(rounded(oneBits[0]!, 0x7fff + ((oneBits[0]! >>> 16) & 1)));
    this.memory.write(pairs);
  }

  view(): Float32Array {
    throw new TypeError('schuss: state in bfloat16 has no live array');
  }

  /** The live memory of a block of an engine whose views are the memory. */
  halves(): Uint16Array {
    return this.#halvesIn(this.memory.view());
  }

  check(who: string, path: string): void {
    this.memory.check(who, path);
  }

  free(): void {
    this.memory.free();
  }

  #halvesIn(pairs: Float32Array): Uint16Array {
    return new Uint16Array(bufferOf(pairs), byteOffsetOf(pairs), this.length);
  }
}

/** Bytes of the memory of a block. */
export function bytesOf(block: Block): number {
  return (block instanceof Bfloat16Block ? block.memory : block).length * Float32Array.BYTES_PER_ELEMENT;
}

/** The state of a tensor in bfloat16. */
export interface Halves {
  readonly arrays: readonly Uint16Array[];
  readonly firstElement: number;
}

/** Those of a tensor whose state is in bfloat16, all of it or none; undefined for float32. */
export function halvesOf(state: readonly Block[]): Halves | undefined {
  const blocks = state.filter((block) => block instanceof Bfloat16Block);
  if (blocks.length === 0) return undefined;
  return { arrays: blocks.map((block) => block.halves()), firstElement: blocks[0]!.firstElement };
}

/**
 * Updates the elements from `begin` on, piece by piece: widens the state to float32, runs the walk over the piece, and
 * rounds the state.
 */
export function walkHalves(
  { arrays, firstElement }: Halves,
  { begin, length, update }: { readonly begin: number; readonly length: number; readonly update: number },
  walk: (begin: number, end: number, state: Tensor['state']) => void,
): void {
  for (let at = begin; at < begin + length; at += pieceLength) {
    const end = Math.min(at + pieceLength, begin + length);
    const parts = arrays.map((halves) => halves.subarray(at, end));
    const state = parts.map(widen);
    walk(at, end, state);
    for (const [s, part] of parts.entries()) roundStochastic(state[s]!, part, firstElement + at, update, s);
  }
}
