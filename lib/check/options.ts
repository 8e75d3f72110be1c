import { closest, distance } from 'fastest-levenshtein';
import { rangeError, show, typeError } from './errors.js';
import { synonyms } from './synonyms.js';

/** An interval in mathematical notation: `[0, 1)`, `(0, inf)`. */
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

/** Whether `value` is in `range`. NaN is in no range, an infinity only in one with that infinity as a closed bound. */
export function within(range: Range, value: number): boolean {
  const { min, max, minOpen, maxOpen } = bounds(range);
  return (minOpen ? value > min : value >= min) && (maxOpen ? value < max : value <= max);
}

/** Returns `value` if it is a number in `range`. @throws TypeError for another type, RangeError outside the range */
export function checkNumber(who: string, argument: string, value: unknown, range: Range = '(-inf, inf)'): number {
  if (typeof value !== 'number') throw typeError(who, argument, show(value), `a number in ${range}`);
  if (!within(range, value))
    throw rangeError(who, argument, show(value), range === '(-inf, inf)' ? 'a finite number' : range);
  return value;
}

/**
 * Returns `value` if it is a number in `range` that kernels can use: one that does not overflow in float32.
 * @throws TypeError for another type, RangeError outside the range or beyond float32
 */
export function checkFloat(who: string, argument: string, value: unknown, range: Range = '(-inf, inf)'): number {
  const number = checkNumber(who, argument, value, range);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number)))
    throw rangeError(who, argument, show(value), 'a number that is finite in float32, up to 3.4028234e38');
  return number;
}

/** Returns `value` if it is an integer in `range`. @throws TypeError for another type, RangeError otherwise */
export function checkInteger(who: string, argument: string, value: unknown, range: Range): number {
  const allowed = `an integer in ${range}`;
  if (typeof value !== 'number') throw typeError(who, argument, show(value), allowed);
  if (!Number.isInteger(value) || !within(range, value)) throw rangeError(who, argument, show(value), allowed);
  // A count beyond would not change when 1 is added: a loop over it never ends.
  if (!Number.isSafeInteger(value))
    throw rangeError(who, argument, show(value), `${allowed}, at most ${Number.MAX_SAFE_INTEGER}`);
  return value;
}

/** Returns `value` if it is a boolean. @throws TypeError */
export function checkBoolean(who: string, argument: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw typeError(who, argument, show(value), 'true or false');
  return value;
}

/**
 * Returns `value` if it is one of `allowed`.
 * @param other What is allowed instead of a string, for the error.
 * @throws TypeError for another type, RangeError for another string
 */
export function checkOneOf<T extends string>(
  who: string,
  argument: string,
  value: unknown,
  allowed: readonly T[],
  other?: string,
): T {
  const expected = [...allowed.map((a) => JSON.stringify(a)), ...(other === undefined ? [] : [other])].join(' or ');
  if (typeof value !== 'string') throw typeError(who, argument, show(value), expected);
  if (!allowed.includes(value as T)) throw rangeError(who, argument, show(value), expected);
  return value as T;
}

/** Returns `value` if it is a function. @throws TypeError */
export function checkFunction<T>(who: string, argument: string, value: T, expected = 'a function'): T {
  if (typeof value !== 'function') throw typeError(who, argument, show(value), expected);
  return value;
}

/** The known word that a misspelt word most likely means, or undefined. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const lower = word.toLowerCase();
  const found = closest(
    lower,
    known.map((k) => k.toLowerCase()),
  );
  return distance(lower, found) <= Math.min(Math.max(2, found.length / 2), lower.length / 2)
    ? known.find((k) => k.toLowerCase() === found)
    : undefined;
}

/** A name in any of its spellings: `weight_decay`, `weightDecay` and `weightdecay` are the same. */
export const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '');

/** The known option that an unknown one means: in another spelling, in another library, or with a typing error. */
function meant(option: string, known: readonly string[]): string | undefined {
  const name = plain(option);
  const others = Object.hasOwn(synonyms, name) ? (synonyms[name] as readonly string[]) : [];
  return (
    known.find((own) => plain(own) === name) ??
    others.find((own) => known.includes(own.replace(/\[\d\]$/, ''))) ??
    nearest(option, known)
  );
}

/**
 * Refuses options that are not an object, or have a key that is not in `known`.
 * @param offered What the errors offer: less than `known` where a caller gives some options itself.
 * @throws TypeError that names the key and the known one that it means
 */
export function checkOptions(
  who: string,
  options: unknown,
  known: readonly string[],
  offered = known,
): asserts options is Readonly<Record<string, unknown>> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw typeError(who, 'options', show(options), `an object with ${offered.join(', ')}`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = meant(key, offered);
    throw typeError(
      who,
      key,
      'unknown option',
      near ?? `one of ${offered.join(', ')}`,
      near === undefined ? undefined : `it has ${offered.join(', ')}`,
    );
  }
}
