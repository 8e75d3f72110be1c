import type { Block } from '../engine/block.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import type { Shape } from './params.js';

type Layouts = KernelDeclaration['layout'];

interface Dimensions {
  readonly shape: Shape;
  readonly columns: number;
  readonly length: number;
}

/** Whether a kernel has state of other lengths than the param. */
export function hasOwnState(layout: Layouts): boolean {
  return layout !== undefined && Object.values(layout).includes('own');
}

/** Whether a kernel keeps numbers per matrix row or column. */
export function needsShape(layout: Layouts): boolean {
  return layout !== undefined && Object.values(layout).some((one) => one !== 'own');
}

/** Rows and columns as a matrix kernel sees them: a param without a shape is a column. */
export function dimensionsOf({ shape, columns, length }: Dimensions): {
  readonly rows: number;
  readonly columns: number;
} {
  return shape === undefined ? { rows: length, columns: 1 } : { rows: shape[0]!, columns };
}

/** One number per matrix row, for each of its elements. */
export function spread(ofRows: Block, columns: number): Float32Array {
  const numbers = ofRows.read();
  return Float32Array.from({ length: ofRows.length * columns }, (_, i) => numbers[Math.floor(i / columns)]!);
}

/** The mean of each matrix row. */
export function rowMeans(elements: Block, columns: number): Float32Array {
  const numbers = elements.read();
  return Float32Array.from({ length: elements.length / columns }, (_, row) => {
    const sum = numbers.subarray(row * columns, (row + 1) * columns).reduce((total, x) => total + x, 0);
    return sum / columns;
  });
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
    case 'column':
      return columns;
  }
}
