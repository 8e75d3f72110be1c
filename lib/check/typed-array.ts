import { isProxy } from 'node:util/types';
import { rangeError, show, typeError } from './errors.js';

/** Any typed array that a checkpoint can hold. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const typedArrayPrototype = Object.getPrototypeOf(Float32Array.prototype) as object;

/**
 * A method as a function of its object. Steps rely on the lengths that they see, so not even a later `Function.prototype.call` of the
 * user's may deceive it.
 */
function functionOf<T extends (...args: never) => unknown>(method: unknown): T {
  return Function.prototype.call.bind(method as () => void) as unknown as T;
}

function getterOf<T>(name: string | symbol): (array: unknown) => T {
  return functionOf(Object.getOwnPropertyDescriptor(typedArrayPrototype, name)?.get);
}

// Captured once, and called by the functions below, so that properties that user code defines later have no effect.
const lengthOfAny = getterOf<number>('length');
const tagOfAny = getterOf<string | undefined>(Symbol.toStringTag);
const bufferOfAny = getterOf<ArrayBufferLike>('buffer');
const byteOffsetOfAny = getterOf<number>('byteOffset');
const byteLengthOfAny = getterOf<number>('byteLength');
const setOfAny = functionOf<(target: object, source: object) => void>(Float32Array.prototype.set);
const keysOfAny = functionOf<(array: object) => unknown>(Float32Array.prototype.keys);

export function bufferOf(array: TypedArray): ArrayBufferLike {
  return bufferOfAny(array);
}

export function byteOffsetOf(array: TypedArray): number {
  return byteOffsetOfAny(array);
}

export function byteLengthOf(array: TypedArray): number {
  return byteLengthOfAny(array);
}

/** The name of a typed array's class, or undefined for any other value, a DataView too. */
export function tagOf(value: unknown): string | undefined {
  return tagOfAny(value);
}

/** Current length of a typed array. 0 if its buffer was detached, or shrunk so that the array is out of bounds. */
export function lengthOf(array: TypedArray): number {
  return lengthOfAny(array);
}

/**
 * {@link lengthOf} of a Float32Array. V8 learns the type from the access to an element, and then compiles the call into one
 * load.
 */
export function lengthOfFloats(array: Float32Array): number {
  void array[0];
  return lengthOfAny(array);
}

/** The same of row numbers. A function of its own, because V8 compiles the access to fewer types into less. */
export function lengthOfRows(rows: Int32Array | Uint32Array): number {
  void rows[0];
  return lengthOfAny(rows);
}

/** A Float32Array over part of an array's memory. Unlike `subarray`, user code cannot override it. */
export function floatsOf(
  array: Float32Array | Int32Array | Uint32Array,
  begin = 0,
  end = lengthOf(array),
): Float32Array {
  if (end === begin) return new Float32Array(0); // the buffer may be detached
  const offset = byteOffsetOf(array) + begin * Float32Array.BYTES_PER_ELEMENT;
  return new Float32Array(bufferOf(array), offset, end - begin);
}

/**
 * The same memory as an array of the realm that loaded this module. A test runner loads it in a realm of its own, where an
 * array that the addon made is no `instanceof Float32Array`.
 */
export function ofThisRealm(array: Float32Array): Float32Array {
  return array instanceof Float32Array ? array : floatsOf(array);
}

/**
 * Copies an array into another of the same length. Unlike `target.set`, user code cannot override it, and empty arrays
 * may be detached.
 */
export function copyInto(target: Float32Array, source: Float32Array | Float64Array): void {
  if (lengthOf(target) > 0 || lengthOf(source) > 0) setOfAny(target, source);
}

const goneHint = 'its buffer was transferred, resized or grown';

/** Whether `value` is a Float32Array, of this realm or another. */
export function isFloat32(value: unknown): value is Float32Array {
  return tagOfAny(value) === 'Float32Array';
}

/** Whether an array has lost its memory: its buffer was detached, or shrunk so that the array is out of bounds. */
export function isDetached(array: TypedArray): boolean {
  if (lengthOf(array) !== 0) return false;
  try {
    keysOfAny(array); // refuses exactly such arrays
    return false;
  } catch {
    return true;
  }
}

/** The error for an array that has lost its memory. */
function lost(
  who: string,
  argument: string,
  array: Float32Array | Int32Array | Uint32Array,
  expected: string,
): TypeError {
  let how = 'an out-of-bounds';
  try {
    new Uint8Array(bufferOf(array));
  } catch {
    how = 'a detached';
  }
  return typeError(who, argument, `${how} ${tagOfAny(array)}`, expected, goneHint);
}

/** Whether a list holds numbers alone. It ends at the first hole: `every` would walk all 2³² of a sparse array. */
export function isNumbers(list: readonly unknown[]): list is readonly number[] {
  for (let i = 0; i < list.length; i++) if (typeof list[i] !== 'number') return false;
  return true;
}

/** What to do with a value that is neither an array nor a tree of arrays, if that is plain. */
export function hintFor(value: unknown): string | undefined {
  if (isProxy(value)) return 'it hides the memory: pass the object inside, which Vue returns from toRaw(…)';
  if (value instanceof Map) return 'write Object.fromEntries(map)';
  if (typeof (value as { next?: unknown } | null | undefined)?.next === 'function') return 'write [...params]';
  return value instanceof Float64Array || (Array.isArray(value) && isNumbers(value))
    ? 'convert it with Float32Array.from(…)'
    : undefined;
}

/**
 * Returns `value` if it is an attached Float32Array. @throws TypeError, with a hint for a Float64Array or a number[]
 */
export function checkFloat32(who: string, argument: string, value: unknown, expected = 'a Float32Array'): Float32Array {
  if (!isFloat32(value)) throw typeError(who, argument, show(value), expected, hintFor(value));
  if (isDetached(value)) throw lost(who, argument, value, expected);
  return value;
}

/** Returns `value` if it is an attached Int32Array or Uint32Array. @throws TypeError */
export function checkRows(who: string, argument: string, value: unknown): Int32Array | Uint32Array {
  const expected = 'an Int32Array or a Uint32Array';
  const tag = tagOfAny(value);
  if (tag !== 'Int32Array' && tag !== 'Uint32Array')
    throw typeError(
      who,
      argument,
      show(value),
      expected,
      Array.isArray(value) ? 'convert it with Int32Array.from(…)' : undefined,
    );
  if (isDetached(value as Int32Array)) throw lost(who, argument, value as Int32Array, expected);
  return value as Int32Array;
}

export function isSigned(rows: Int32Array | Uint32Array): boolean {
  return tagOfAny(rows) === 'Int32Array';
}

/**
 * Position of the first row number outside [0, limit), or −1. Calls no array method, which user code might override.
 */
export function firstBadRow(rows: Int32Array | Uint32Array, limit: number): number {
  for (let i = 0, length = lengthOf(rows); i < length; i++) if (rows[i]! < 0 || rows[i]! >= limit) return i;
  return -1;
}

/** Refuses an array of the wrong length. @throws RangeError, or TypeError if it has lost its memory */
export function checkLength(who: string, argument: string, array: Float32Array, expected: number, name?: string): void {
  const length = lengthOf(array);
  if (length === expected) return;
  if (isDetached(array)) throw lost(who, argument, array, `length ${expected}`);
  throw rangeError(who, argument, `length ${length}`, `${expected}${name === undefined ? '' : ` ("${name}")`}`);
}
