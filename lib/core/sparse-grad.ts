import { rangeError, show, typeError } from '../check/errors.js';
import { checkFloat32, checkRows, isSigned, lengthOf } from '../check/typed-array.js';
import type { Rows } from '../engine/engine.js';
import { columnsOf, type Tensor } from './params.js';

const maxSignedRows = 2 ** 31;

/** Refuses a sparse gradient that does not fit its param. Row numbers are not checked. @throws TypeError, RangeError */
export function checkSparseGrad(
  who: string,
  path: string,
  param: Pick<Tensor, 'path' | 'shape'> & { readonly length: number },
  { rows, values }: { readonly rows: Rows; readonly values: Float32Array },
): void {
  checkRows(who, `${path}.rows`, rows);
  checkFloat32(who, `${path}.values`, values);
  const [count, length] = [lengthOf(rows), lengthOf(values)];
  const refuse = (given: string, expected: string): RangeError => rangeError(who, `${path}.values`, given, expected);
  if (count === 0 ? length > 0 : length === 0 || length % count !== 0)
    throw refuse(`length ${length}`, count === 0 ? '0, as of rows' : `a multiple of ${count}, the length of rows`);
  if (count === 0) return;
  const size = length / count;
  if (param.shape !== undefined && size !== columnsOf(param.shape))
    throw refuse(`rows of ${size}`, `${columnsOf(param.shape)}, the columns of ${param.path}`);
  if (param.length % size !== 0)
    throw refuse(`rows of ${size}`, `a divisor of ${param.length}, the length of ${param.path}`);
  // The addon reads row numbers as unsigned: a negative one exceeds the row count, unless there are this many rows.
  if (param.length / size > maxSignedRows && isSigned(rows))
    throw typeError(
      who,
      `${path}.rows`,
      show(rows),
      `a Uint32Array for the ${param.length / size} rows of ${param.path}`,
    );
}

/** The error for a row number out of range. */
export function badRow(who: string, path: string, rows: Rows, position: number, limit: number): RangeError {
  return rangeError(who, `${path}.rows[${position}]`, show(rows[position]), `an integer in [0, ${limit})`);
}
