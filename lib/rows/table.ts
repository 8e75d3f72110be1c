import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { checkFloat32, floatsOf, hintFor, isFloat32, lengthOf } from '../check/typed-array.js';
import { extentOf } from '../core/extents.js';
import { checkNotInFlight } from '../core/step-queue.js';
import { engine } from '../engine/backend.js';
import { done, type Rows, shared } from '../engine/table-rows.js';

/** A table of rows: `shape[0]` rows, each as long as the product of the other dimensions. A param with a shape is one. */
export interface Table {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A table that was checked. */
interface Checked {
  readonly data: Float32Array;
  /** Number of rows. */
  readonly count: number;
  /** Numbers in a row. */
  readonly width: number;
}

const expectedTable = 'a table { data: Float32Array, shape: [rows, columns] }';

/** A table as it was read. Its getters have run, so no check that follows runs user code. */
export interface ReadTable {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** @throws TypeError, RangeError for a number that is not a dimension; a row has at least one number */
function dimension(who: string, argument: string, i: number, n: unknown): number {
  // The name of the argument is only made for an error.
  if (Number.isSafeInteger(n) && (n as number) > 0) return n as number;
  return checkInteger(who, `${argument}.shape[${i}]`, n, i === 0 ? '[0, inf)' : '[1, inf)');
}

/** Reads a table without checking its memory. @throws TypeError, RangeError */
export function readTable(who: string, argument: string, table: unknown): ReadTable {
  if (isFloat32(table)) throw typeError(who, argument, show(table), expectedTable, 'the shape says how long a row is');
  if (typeof table !== 'object' || table === null) throw typeError(who, argument, show(table), expectedTable);
  const { data, shape } = table as { readonly data?: unknown; readonly shape?: unknown };
  if (!isFloat32(data)) throw typeError(who, argument, show(table), expectedTable, hintFor(data));
  if (!Array.isArray(shape) || shape.length === 0)
    throw typeError(who, `${argument}.shape`, show(shape), 'a list of at least one dimension, such as [rows, columns]');
  const dimensions: number[] = [];
  for (let i = 0; i < shape.length; i++) dimensions.push(dimension(who, argument, i, shape[i]));
  return { data, shape: dimensions };
}

/** @throws TypeError, RangeError */
export function checkTable(who: string, argument: string, { data, shape }: ReadTable): Checked {
  const count = shape[0]!;
  let width = 1;
  for (let i = 1; i < shape.length; i++) width *= shape[i]!;
  checkFloat32(who, `${argument}.data`, data);
  if (count * width !== lengthOf(data))
    throw rangeError(who, `${argument}.shape`, show(shape), `a product of ${lengthOf(data)}, the length of its data`);
  return { data, count, width };
}

/** @param meaning What the expected length is. @throws TypeError, RangeError for another length */
export function checkFloats(
  who: string,
  argument: string,
  array: unknown,
  expected: number,
  meaning: string,
): Float32Array {
  checkFloat32(who, argument, array);
  checkCount(who, argument, array as Float32Array, expected, meaning);
  return array as Float32Array;
}

/** @throws RangeError for another length */
export function checkCount(
  who: string,
  argument: string,
  array: Float32Array | Rows,
  expected: number,
  meaning: string,
): void {
  const length = lengthOf(array);
  if (length !== expected) throw rangeError(who, argument, `length ${length}`, `${expected}, ${meaning}`);
}

/** Refuses arrays that a pending step reads or changes. @param arrays By the names of the arguments. @throws TypeError */
export function checkIdle(who: string, arrays: Readonly<Record<string, Float32Array>>): void {
  checkNotInFlight(who, () =>
    Object.entries(arrays).map(([argument, array]) => extentOf(engine(), floatsOf(array), argument)),
  );
}

/** A list of numbers among the arguments, and the range of the number at a position. */
export interface Numbers {
  readonly argument: string;
  readonly numbers: Rows;
  readonly range: (position: number) => string;
}

/**
 * Turns the answer of an engine into an error, unless the call is done.
 * @param lists The lists of numbers in the order of their positions.
 * @throws RangeError
 */
export function checkAnswer(who: string, answer: number, lists: readonly Numbers[]): void {
  if (answer === done) return;
  if (answer === shared) throw rangeError(who, 'out', 'memory of an input', 'separate memory');
  let position = answer;
  for (const { argument, numbers, range } of lists) {
    const length = lengthOf(numbers);
    if (position < length) throw rangeError(who, `${argument}[${position}]`, show(numbers[position]), range(position));
    position -= length;
  }
}
