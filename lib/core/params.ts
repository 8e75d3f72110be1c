import type { Rows } from '../engine/engine.js';

/**
 * A parameter tensor, updated in place: a Float32Array, or a row-major tensor with its shape, of one or more dimensions.
 * `shape[0]` is the number of rows. For classes that work on matrices, the other dimensions together are the columns.
 */
export type Param = Float32Array | { readonly data: Float32Array; readonly shape: readonly number[] };

/** Params: one, or arrays and plain objects of them, to any depth. */
export type ParamTree =
  | Param
  | readonly ParamTree[]
  | ({ readonly [name: string]: ParamTree } & { readonly params?: never });

/** Params with options that override those of the optimizer. */
export type GroupOf<Options, P = ParamTree> = { readonly params: P } & Options;

/** First argument of an optimizer: params, or param groups. */
export type Params<Options> = ParamTree | readonly GroupOf<Options>[];

/**
 * A gradient for some rows of a param, for example of an embedding table. `values` holds one row for each entry of
 * `rows`, of `values.length / rows.length` elements. All other rows and their state stay unchanged. The gradients of a
 * repeated row are summed.
 */
export interface SparseGrad {
  readonly rows: Rows;
  readonly values: Float32Array;
}

/** The gradient of one param. `null` leaves the param and its state unchanged. */
export type Grad = Float32Array | SparseGrad | null;

/** Gradients of any structure: one, or arrays and plain objects of them, to any depth. */
export type Grads = Grad | readonly Grads[] | { readonly [name: string]: Grads };

/** Arrays of any structure: one, or arrays and plain objects of them, to any depth. */
export type Arrays = Float32Array | readonly Arrays[] | { readonly [name: string]: Arrays };

/** The shape of a param, if it was given with one. */
export type Shape = readonly number[] | undefined;

/** The dimensions of a param. */
export interface Dimensions {
  readonly shape: Shape;
  /** Elements of a row; 0 without a shape. */
  readonly columns: number;
  readonly length: number;
}

/** Where a param stands in its tree: indices of lists and keys of records, from the root. */
export type Place = readonly (string | number)[];

/** One param tensor as found in the params that the user gave. */
export interface Tensor {
  /** Its path, such as `layers.0.weight`; its index if it stands in a list at the root. */
  readonly key: string | number;
  /** Empty if the param stands alone. */
  readonly place: Place;
  /** Its name in errors: `params[1]`, `params["fc.bias"]`. */
  readonly path: string;
  data: Float32Array;
  readonly shape: Shape;
}

/** A group as the user gave it: its tensors, and its options, not yet checked. */
export interface FoundGroup {
  readonly given: ParamTree;
  readonly tensors: readonly Tensor[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Elements of one row of a param with a shape: the product of all dimensions but the first. */
export function columnsOf(shape: readonly number[]): number {
  let columns = 1;
  for (let i = 1; i < shape.length; i++) columns *= shape[i]!;
  return columns;
}

/** The name of a param: its path; its index in a list at the root, or if it stands alone. */
export function keyOf(place: Place): string | number {
  return place.length === 0 ? 0 : place.length === 1 ? (place[0] as string | number) : place.join('.');
}

/** How errors write an entry: `grads[1]`, `grads["layers.0.weight"]`. */
export function entryPath(base: string, place: Place): string {
  if (place.length === 0) return base;
  const key = keyOf(place);
  return `${base}[${typeof key === 'string' ? JSON.stringify(key) : key}]`;
}

/** Whether `value` has the form of a sparse gradient. */
export function isSparseGrad(value: unknown): value is { readonly rows: unknown; readonly values: unknown } {
  return typeof value === 'object' && value !== null && 'rows' in value;
}
