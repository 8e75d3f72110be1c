import { show, typeError } from '../check/errors.js';
import { isDetached, type TypedArray, tagOf } from '../check/typed-array.js';
import { arrayTypes, copyOf, ownedBytes } from './dtypes.js';

/** A typed array found in plain data. */
export interface FoundArray {
  readonly path: readonly string[];
  /** Name of its class. */
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Dtype of the bytes, if it is not that of the class. */
  readonly dtype?: string;
}

/** Plain data as JSON, in which `{ "$": … }` stands for what JSON lacks. */
export type Encoded = null | boolean | number | string | readonly Encoded[] | { readonly [key: string]: Encoded };

/** Depth at which plain data is refused, before the call stack ends. */
const maxDepth = 256;
const mark = '$';

/** What {@link encode} needs to know. */
export interface EncodeOptions {
  /** How errors name the value. */
  readonly path: string;
  /** Whether the typed arrays are copies already, which nobody else holds. */
  readonly owned: boolean;
  /** Takes a typed array, and returns the name under which {@link decode} finds it. */
  readonly place: (array: FoundArray) => string;
}

/**
 * Encodes plain data: numbers (NaN, infinities and −0 too), strings, booleans, null, undefined, bigints, lists, records
 * and typed arrays, to any depth. Typed arrays are copied at once.
 * @throws TypeError that names the path of any other value
 */
export function encode(who: string, value: unknown, options: EncodeOptions): Encoded {
  const { path: root, owned, place } = options;
  const open = new Set<object>();

  const walk = (value: unknown, keys: readonly string[]): Encoded => {
    const refuse = (given: string): TypeError =>
      typeError(
        who,
        pathOf(root, keys),
        given,
        'plain data: numbers, strings, booleans, null, lists, records, typed arrays',
      );
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : special('number', Object.is(value, -0) ? '-0' : `${value}`);
      case 'bigint':
        return special('bigint', `${value}`);
      case 'undefined':
        return special('undefined', '');
      case 'object':
        if (value === null) return null;
        break;
      default:
        throw refuse(show(value));
    }
    const type = tagOf(value);
    if (type !== undefined && arrayTypes.has(type)) {
      if (isDetached(value as TypedArray)) throw refuse(`a detached ${type}`);
      const bytes = owned ? ownedBytes(value as TypedArray) : copyOf(value as TypedArray);
      return { [mark]: type, tensor: place({ path: keys, type, bytes }) };
    }
    if (open.has(value)) throw refuse('an object inside itself');
    if (keys.length >= maxDepth) throw refuse(`data deeper than ${maxDepth} levels`);
    open.add(value);
    let result: Encoded;
    // The holes of a sparse array become undefined, but not 2³² of them.
    if (Array.isArray(value) && value.length > 1e6 && Object.keys(value).length < value.length)
      throw refuse(`a list of ${value.length} with holes`);
    if (Array.isArray(value)) result = Array.from(value, (item: unknown, i) => walk(item, [...keys, String(i)]));
    else if (isPlain(value)) {
      const entries = Object.keys(value).map((key): readonly [string, Encoded] => [
        key,
        walk((value as Readonly<Record<string, unknown>>)[key], [...keys, key]),
      ]);
      result = Object.hasOwn(value, mark) ? { [mark]: 'object', entries } : Object.fromEntries(entries);
    } else throw refuse(show(value));
    open.delete(value);
    return result;
  };
  return walk(value, []);
}

function special(type: string, text: string): Encoded {
  return { [mark]: type, value: text };
}

/** Whether a value is a record: its prototype is null, or Object.prototype of any realm, and it has no symbols. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isRecord =
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty'));
  return isRecord && Object.getOwnPropertySymbols(value).length === 0;
}

/** `state.fc.step`, `state["fc.weight"].step` */
function pathOf(root: string, keys: readonly string[]): string {
  return (
    root + keys.map((key) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`)).join('')
  );
}

/**
 * Decodes what {@link encode} returned.
 * @param arrays The typed array of each name that `place` returned.
 * @throws Error for anything else
 */
export function decode(value: Encoded, arrays: (name: string, type: string) => TypedArray): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Encoded) => decode(item, arrays));
  const record = value as { readonly [key: string]: Encoded };
  if (!Object.hasOwn(record, mark))
    return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, decode(item, arrays)]));
  const { [mark]: type, value: text, tensor, entries } = record as { readonly [key: string]: unknown };
  switch (type) {
    case 'number':
      return Number(text);
    case 'bigint':
      return BigInt(text as string);
    case 'undefined':
      return undefined;
    case 'object':
      return Object.fromEntries((entries as [string, Encoded][]).map(([key, item]) => [key, decode(item, arrays)]));
    default:
      return arrays(tensor as string, type as string);
  }
}
