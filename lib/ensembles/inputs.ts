import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber } from '../check/options.js';
import { checkFloat32, checkLength, floatsOf, lengthOf } from '../check/typed-array.js';
import { extentOf } from '../core/extents.js';
import { engine } from '../engine/backend.js';

/** Returns `list` if it is a list that is not empty. @throws TypeError, RangeError */
export function checkList<T>(
  who: string,
  argument: string,
  list: readonly T[],
  one: string,
  several = `${one}s`,
): readonly T[] {
  if (!Array.isArray(list)) throw typeError(who, argument, show(list), `a list of ${several}`);
  if (list.length === 0) throw rangeError(who, argument, 'nothing', `at least one ${one}`);
  return list;
}

/**
 * Returns views of the members if there is at least one and all have the same length. They are ours, so that no
 * property of the user's arrays is read later.
 * @throws TypeError, RangeError
 */
export function checkMembers(who: string, argument: string, members: readonly Float32Array[]): readonly Float32Array[] {
  checkList(who, argument, members, 'Float32Array');
  const checked = Array.from(members, (member, i) => checkFloat32(who, `${argument}[${i}]`, member));
  for (const [i, member] of checked.entries()) checkLength(who, `${argument}[${i}]`, member, lengthOf(checked[0]!));
  return checked.map((member) => floatsOf(member));
}

/** Returns `classes` if it is a number of classes. @throws TypeError, RangeError */
export function checkClasses(who: string, classes: unknown): number {
  return checkInteger(who, 'classes', classes, '[1, inf)');
}

/** Refuses an array that does not consist of whole matrix rows of `classes` elements. @throws RangeError */
export function checkMatrixRows(who: string, argument: string, array: Float32Array, classes: number): void {
  const length = lengthOf(array);
  if (length % classes !== 0)
    throw rangeError(who, argument, `length ${length}`, `a multiple of ${classes}`, 'rows of classes');
}

/** Returns a copy of the weights of `count` members; all 1 if none are given. @throws TypeError, RangeError */
export function checkWeights(
  who: string,
  weights: ArrayLike<number> | undefined,
  count: number,
  each: string,
): Float64Array {
  if (weights === undefined) return new Float64Array(count).fill(1);
  if (!Array.isArray(weights) && !(ArrayBuffer.isView(weights) && 'length' in weights))
    throw typeError(who, 'weights', show(weights), 'a list of numbers');
  const length = Array.isArray(weights) ? weights.length : lengthOf(weights as Float32Array);
  if (length !== count) throw rangeError(who, 'weights', `length ${length}`, String(count), `one for each ${each}`);
  const values = Float64Array.from({ length }, (_, i) => checkNumber(who, `weights[${i}]`, weights[i], '[0, inf)'));
  if (values.every((weight) => weight === 0)) throw rangeError(who, 'weights', 'all 0', 'at least one above 0');
  return values;
}

/** An output array as the user gave it, and the inputs that it must not overlap in part. */
interface Output {
  readonly out: unknown;
  readonly length: number;
  readonly inputs: readonly Float32Array[];
  /** The name of input i in errors. */
  readonly inputPath: (i: number) => string;
}

/**
 * Returns `out` if results may be written to it: its length fits, and each input either starts at the same address or
 * does not overlap it. An element is never read after the result at the same index was written. An input that overlaps
 * `out` with a shift would be overwritten before it is read.
 *
 * @throws TypeError, RangeError
 */
export function checkOut(who: string, argument: string, { out, length, inputs, inputPath }: Output): Float32Array {
  const array = checkFloat32(who, argument, out);
  checkLength(who, argument, array, length);
  const { start, end } = extentOf(engine(), array, argument);
  inputs.forEach((input, i) => {
    const other = extentOf(engine(), input, inputPath(i));
    if (other.start === start || other.end <= start || end <= other.start) return;
    throw rangeError(who, argument, `memory that overlaps ${other.path} in part`, 'the same memory or separate memory');
  });
  return array;
}
