import { rangeError } from '../check/errors.js';
import { lengthOf } from '../check/typed-array.js';
import type { Block } from '../engine/block.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Declaration, PlainOptions } from './declaration.js';
import { columnsOf, type Dimensions, type Tensor } from './params.js';
import type { Shard } from './shard.js';

type Layouts = KernelDeclaration['layout'];

interface Part extends Dimensions {
  readonly shard: Shard | undefined;
}

/** Whether a kernel has state of other lengths than the param. */
function hasOwnState(layout: Layouts): boolean {
  return layout !== undefined && Object.values(layout).includes('own');
}

/** Whether a kernel keeps numbers per matrix row or column. */
export function needsShape(layout: Layouts): boolean {
  return layout !== undefined && Object.values(layout).some((one) => one === 'row' || one === 'column');
}

/** Whether a kernel keeps numbers per block. */
function hasBlocks(layout: Layouts): boolean {
  return layout !== undefined && Object.values(layout).includes('block');
}

/** Refuses a block length that does not divide its param. @throws RangeError */
export function checkBlocks(
  { name, blockLength }: Declaration,
  options: PlainOptions,
  tensors: readonly Tensor[],
): void {
  if (blockLength === undefined) return;
  for (const tensor of tensors) {
    const length = lengthOf(tensor.data);
    const block = blockLength(options, sized(tensor, length));
    if (length % block !== 0)
      throw rangeError(name, 'block', String(block), `a divisor of ${length}, the length of ${tensor.path}`);
  }
}

function sized({ shape }: Tensor, length: number): Dimensions {
  return { shape, columns: shape === undefined ? 0 : columnsOf(shape), length };
}

/** The dimensions of the whole param of which an optimizer has a part. */
function wholeOf({ shard, shape, columns, length }: Part): Dimensions {
  return shard === undefined ? { shape, columns, length } : sized(shard.whole, shard.length);
}

/** Whether the blocks of a param are its rows. */
export function hasRowsAsBlocks({ layout }: KernelDeclaration, param: Part & { readonly side: number }): boolean {
  return hasBlocks(layout) && param.side === wholeOf(param).columns;
}

/** `ParamState.side`: the most rows or columns that a kernel decomposes, as far as the param has so many; or its block. */
export function sideOf(
  { kernels, side, blockLength }: Declaration,
  kernel: string,
  options: PlainOptions,
  param: Part,
): number {
  const { layout } = kernels[kernel]!;
  if (hasBlocks(layout)) return blockLength!(options, wholeOf(param));
  if (!hasOwnState(layout)) return 0;
  const { rows, columns } = dimensionsOf(param);
  return Math.max(1, Math.min(side!(options), Math.max(rows, columns)));
}

/** The `columns` and the `side` of a param that its plan gets. Rows are blocks to a kernel with state per block. */
export function planned(
  { layout, matrix }: KernelDeclaration,
  param: Dimensions,
  side: number,
): readonly [columns: number, side: number] {
  if (hasBlocks(layout)) return [side, 0];
  return [matrix === undefined ? param.columns : dimensionsOf(param).columns, side];
}

/** Rows and columns as a matrix kernel sees them: a param without a shape is a column. */
function dimensionsOf({ shape, columns, length }: Dimensions): {
  readonly rows: number;
  readonly columns: number;
} {
  return shape === undefined ? { rows: length, columns: 1 } : { rows: shape[0]!, columns };
}

/** One number per matrix row, for each of its elements. */
function spread(numbers: Float32Array, columns: number): Float32Array {
  return Float32Array.from({ length: numbers.length * columns }, (_, i) => numbers[Math.floor(i / columns)]!);
}

/** The mean of each matrix row. */
function rowMeans(numbers: Float32Array, columns: number): Float32Array {
  return Float32Array.from({ length: numbers.length / columns }, (_, row) => {
    const sum = numbers.subarray(row * columns, (row + 1) * columns).reduce((total, x) => total + x, 0);
    return sum / columns;
  });
}

/**
 * The numbers of a state array in another layout: those of rows are the means over their elements, and those of elements
 * the numbers of their rows.
 * @param before Elements of a row where `old` has one number per row, and 1 where it has one per element.
 * @param after The same of the new array.
 */
export function inLayout(old: Block, before: number, after: number): Float32Array {
  const elements = before === 1 ? old.read() : spread(old.read(), before);
  return after === 1 ? elements : rowMeans(elements, after);
}

/** The numbers that a state array of a param holds. */
export function stateLength(
  { layout, matrix }: KernelDeclaration,
  name: string,
  param: Dimensions,
  side: number,
): number {
  const { shape, columns, length } = param;
  switch (layout?.[name]) {
    case undefined:
      return length;
    case 'own':
      return matrix!.ownLength!(name, { ...dimensionsOf(param), side });
    case 'row':
      return shape![0]!;
    case 'block':
      return length / side;
    case 'column':
      return columns;
  }
}
