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
export function dimensionsOf({ shape, columns, length }: Dimensions): { readonly rows: number; readonly columns: number } {
  return shape === undefined ? { rows: length, columns: 1 } : { rows: shape[0]!, columns };
}
