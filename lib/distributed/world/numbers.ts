import { show, typeError } from '../../check/errors.js';
import { bufferOf, byteOffsetOf, isDetached, lengthOf, tagOf } from '../../check/typed-array.js';
import { type Numbers, type Type, types } from './transport.js';

const constructors = { Float32Array, Float64Array, Int32Array, Uint8Array } as const;

/** Bytes of one element. */
export const bytesOf = (type: Type): number => constructors[type].BYTES_PER_ELEMENT;

/** An array over memory, from a byte on. */
export function numbersAt(type: Type, buffer: ArrayBufferLike, byteOffset: number, length: number): Numbers {
  return new constructors[type](buffer as ArrayBuffer, byteOffset, length); // the types of one constructor lack shared memory
}

/** The part of an array from `begin` to `end`. Unlike `subarray`, user code cannot override it. */
export function slice(type: Type, x: Numbers, begin: number, end: number): Numbers {
  if (begin === end) return new constructors[type](0); // the buffer may be detached
  return numbersAt(type, bufferOf(x), byteOffsetOf(x) + begin * bytesOf(type), end - begin);
}

const nothing = new Uint8Array(0);

/** The bytes of an array. */
export function bytesIn(x: Numbers): Uint8Array {
  if (lengthOf(x) === 0) return nothing; // the buffer may be detached
  return new Uint8Array(bufferOf(x), byteOffsetOf(x), lengthOf(x) * x.BYTES_PER_ELEMENT);
}

/** The floats of a message. */
export function floatsIn(bytes: Uint8Array): Float32Array {
  return new Float32Array(bufferOf(bytes), byteOffsetOf(bytes), lengthOf(bytes) / Float32Array.BYTES_PER_ELEMENT);
}

/** The type of an attached array that collectives can move. @throws TypeError */
export function checkNumbers(who: string, x: unknown): Type {
  const type = tagOf(x) as Type;
  const expected = 'a Float32Array, Float64Array, Int32Array or Uint8Array';
  if (!types.includes(type)) throw typeError(who, 'x', show(x), expected, hintFor(x));
  if (isDetached(x as Numbers)) throw gone(who, type, 'expected an attached array');
  return type;
}

function hintFor(x: unknown): string | undefined {
  if (Array.isArray(x)) return 'convert it with Float32Array.from(…)';
  return typeof x === 'object' && x !== null && 'dataSync' in x ? 'read a tensor with data()' : undefined;
}

/** The error for an array whose memory went away. */
export function gone(who: string, type: Type, then: string): TypeError {
  return new TypeError(
    `${who}: x: a detached or out-of-bounds ${type}, ${then} (its buffer was transferred or resized)`,
  );
}

/** Whether an array is shorter than when its collective was called. */
export const isGone = (x: Numbers, length: number): boolean => lengthOf(x) < length;
