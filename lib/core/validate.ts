import { closest, distance } from 'fastest-levenshtein';
import { rangeError, show, typeError } from './errors.js';

/** An interval, written as in mathematics: `[0, 1)`, `(0, inf)`. */
export type Range = `${'[' | '('}${number | '-inf'}, ${number | 'inf'}${']' | ')'}`;

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly minOpen: boolean;
  readonly maxOpen: boolean;
}

const parsed = new Map<Range, Bounds>();

function bounds(range: Range): Bounds {
  let result = parsed.get(range);
  if (result === undefined) {
    const [min, max] = range
      .slice(1, -1)
      .split(', ')
      .map((s) => Number(s.replace('inf', 'Infinity'))) as [number, number];
    result = { min, max, minOpen: range.startsWith('('), maxOpen: range.endsWith(')') };
    parsed.set(range, result);
  }
  return result;
}

/** Whether `value` lies in `range`; NaN lies in none, an infinity only where a closed bound names it. */
export function within(range: Range, value: number): boolean {
  const { min, max, minOpen, maxOpen } = bounds(range);
  return (minOpen ? value > min : value >= min) && (maxOpen ? value < max : value <= max);
}

/** `value` if it is a number in `range`. @throws TypeError for another type, RangeError outside. */
export function checkNumber(who: string, argument: string, value: unknown, range: Range = '(-inf, inf)'): number {
  if (typeof value !== 'number') throw typeError(who, argument, show(value), `a number in ${range}`);
  if (!within(range, value))
    throw rangeError(who, argument, show(value), range === '(-inf, inf)' ? 'a finite number' : range);
  return value;
}

/** `value` if it is an integer in `range`. @throws TypeError for another type, RangeError otherwise. */
export function checkInteger(who: string, argument: string, value: unknown, range: Range): number {
  const allowed = `an integer in ${range}`;
  if (typeof value !== 'number') throw typeError(who, argument, show(value), allowed);
  if (!Number.isInteger(value) || !within(range, value)) throw rangeError(who, argument, show(value), allowed);
  return value;
}

/** `value` if it is true or false. @throws TypeError */
export function checkBoolean(who: string, argument: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw typeError(who, argument, show(value), 'true or false');
  return value;
}

/** `value` if it is one of `allowed`. @throws TypeError for another type, RangeError for another string. */
export function checkOneOf<T extends string>(who: string, argument: string, value: unknown, allowed: readonly T[]): T {
  const expected = allowed.map((a) => JSON.stringify(a)).join(' or ');
  if (typeof value !== 'string') throw typeError(who, argument, show(value), expected);
  if (!allowed.includes(value as T)) throw rangeError(who, argument, show(value), expected);
  return value as T;
}

/** `value` if it is a function. @throws TypeError */
export function checkFunction<T>(who: string, argument: string, value: T, expected = 'a function'): T {
  if (typeof value !== 'function') throw typeError(who, argument, show(value), expected);
  return value;
}

/** The one of `known` that a misspelt word most likely means, if any is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const lower = word.toLowerCase();
  const found = closest(
    lower,
    known.map((k) => k.toLowerCase()),
  );
  return distance(lower, found) <= Math.max(2, found.length / 2)
    ? known.find((k) => k.toLowerCase() === found)
    : undefined;
}

/**
 * Refuses a bag of options that is no object, or holds a key that is not among `known`.
 * @throws TypeError naming the key and the nearest known one.
 */
export function checkOptions(
  who: string,
  options: unknown,
  known: readonly string[],
): asserts options is Readonly<Record<string, unknown>> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw typeError(who, 'options', show(options), `an object with ${known.join(', ')}`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    throw typeError(
      who,
      key,
      'unknown option',
      near ?? `one of ${known.join(', ')}`,
      near === undefined ? undefined : `it has ${known.join(', ')}`,
    );
  }
}

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
