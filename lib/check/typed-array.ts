import { rangeError, show, typeError } from './errors.js';

const typedArrayPrototype = Object.getPrototypeOf(Float32Array.prototype) as object;
// Captured once: what a user defines on an instance can't deceive these.
const lengthOfAny = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'length')?.get as (this: unknown) => number;
const tagOfAny = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)?.get as (
  this: unknown,
) => string | undefined;

const bufferOfAny = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'buffer')?.get as (
  this: unknown,
) => ArrayBufferLike;

/** The buffer of a typed array. */
export function bufferOf(array: Float32Array | Int32Array | Uint32Array): ArrayBufferLike {
  return bufferOfAny.call(array);
}

const byteOffsetOfAny = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'byteOffset')?.get as (
  this: unknown,
) => number;

/** Where a typed array begins in its buffer. */
export function byteOffsetOf(array: Float32Array | Int32Array | Uint32Array): number {
  return byteOffsetOfAny.call(array);
}

/** The length of a typed array as the engine sees it: 0 once its buffer is detached or shrunk below it. */
export function lengthOf(array: Float32Array | Int32Array | Uint32Array): number {
  return lengthOfAny.call(array);
}

/** An array of floats on a part of an array's memory: its own `subarray` may be the user's. */
export function floatsOf(
  array: Float32Array | Int32Array | Uint32Array,
  begin = 0,
  end = lengthOf(array),
): Float32Array {
  const offset = byteOffsetOf(array) + begin * Float32Array.BYTES_PER_ELEMENT;
  return new Float32Array(bufferOf(array), offset, end - begin);
}

/** Whether `value` is a Float32Array, of this or another realm. */
export function isFloat32(value: unknown): value is Float32Array {
  return tagOfAny.call(value) === 'Float32Array';
}

/** Whether an array's buffer is detached, or was shrunk so that the array is out of its bounds. */
export function isDetached(array: Float32Array | Int32Array | Uint32Array): boolean {
  if (lengthOf(array) !== 0) return false;
  try {
    new Float32Array(array.buffer, array.byteOffset, 0);
    // A view that fell out of a shrunk buffer reports offset 0 as well as length 0; an empty one has byteLength 0 by right.
    return false;
  } catch {
    return true;
  }
}

/** `value` if it is a Float32Array whose memory is there. @throws TypeError, with a hint for a Float64Array or a number[]. */
export function checkFloat32(who: string, argument: string, value: unknown, expected = 'a Float32Array'): Float32Array {
  if (!isFloat32(value)) {
    const convertible =
      value instanceof Float64Array || (Array.isArray(value) && value.every((x) => typeof x === 'number'));
    throw typeError(
      who,
      argument,
      show(value),
      expected,
      convertible ? 'convert it with Float32Array.from(…)' : undefined,
    );
  }
  if (isDetached(value))
    throw typeError(who, argument, 'a detached Float32Array', expected, 'its buffer was transferred, resized or grown');
  return value;
}

/** `value` if it is an Int32Array or a Uint32Array whose memory is there. @throws TypeError */
export function checkRows(who: string, argument: string, value: unknown): Int32Array | Uint32Array {
  const expected = 'an Int32Array or a Uint32Array';
  const tag = tagOfAny.call(value);
  if (tag !== 'Int32Array' && tag !== 'Uint32Array')
    throw typeError(
      who,
      argument,
      show(value),
      expected,
      Array.isArray(value) ? 'convert it with Int32Array.from(…)' : undefined,
    );
  if (isDetached(value as Int32Array))
    throw typeError(who, argument, `a detached ${tag}`, expected, 'its buffer was transferred, resized or grown');
  return value as Int32Array;
}

/** Whether row numbers have a sign. */
export function isSigned(rows: Int32Array | Uint32Array): boolean {
  return tagOfAny.call(rows) === 'Int32Array';
}

/** The position of the first row number that is not in [0, limit), or -1. A method of the array's might be the user's. */
export function firstBadRow(rows: Int32Array | Uint32Array, limit: number): number {
  for (let i = 0, length = lengthOf(rows); i < length; i++) if (rows[i]! < 0 || rows[i]! >= limit) return i;
  return -1;
}

/** Refuses an array of the wrong length. @throws RangeError, or TypeError if it is detached. */
export function checkLength(who: string, argument: string, array: Float32Array, expected: number, name?: string): void {
  const length = lengthOf(array);
  if (length === expected) return;
  if (isDetached(array))
    throw typeError(
      who,
      argument,
      'a detached Float32Array',
      `length ${expected}`,
      'its buffer was transferred, resized or grown',
    );
  throw rangeError(who, argument, `length ${length}`, `${expected}${name === undefined ? '' : ` ("${name}")`}`);
}
