import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { checkFloat32, isFloat32, lengthOf } from '../check/typed-array.js';
import type { Rows } from '../engine/engine.js';

/** A parameter tensor, updated in place: a Float32Array, or a row-major matrix with its shape. */
export type Param = Float32Array | { readonly data: Float32Array; readonly shape: readonly [number, number] };

/** One param, a list of params, or a record of named params. */
export type ParamTree = Param | readonly Param[] | Readonly<Record<string, Param>>;

/** Params with options that override those of the optimizer. */
export type GroupOf<Options> = { readonly params: ParamTree } & Options;

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

/** Gradients in the structure of the params: one gradient, a flat list in group order, or a record of all names. */
export type Grads = Grad | readonly Grad[] | Readonly<Record<string, Grad>>;

/** Arrays in the structure of the gradients. */
export type Arrays = Float32Array | readonly Float32Array[] | Readonly<Record<string, Float32Array>>;

/** The structure of the gradients: one array, a list, or a record by name. */
export type Structure = 'single' | 'list' | 'record';

/** One param tensor as found in the params that the user gave. */
export interface Tensor {
  /** Its name, or its index in the optimizer. */
  readonly key: string | number;
  /** Its name in errors: `params[1]`, `params["fc.bias"]`. */
  readonly path: string;
  data: Float32Array;
  readonly shape: readonly [number, number] | undefined;
}

/** A group as the user gave it: its tensors, and its options, not yet checked. */
export interface FoundGroup {
  readonly given: ParamTree;
  readonly tensors: readonly Tensor[];
  readonly options: Readonly<Record<string, unknown>>;
}

const allowed = 'a Float32Array, { data, shape }, a list or a record of them';

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Whether `value` has the form of a sparse gradient. */
export function isSparseGrad(value: unknown): value is { readonly rows: unknown; readonly values: unknown } {
  return typeof value === 'object' && value !== null && 'rows' in value;
}

function isShaped(value: unknown): value is { readonly data: Float32Array; readonly shape: unknown } {
  return isObject(value) && isFloat32(value['data']);
}

function isGroup(value: unknown): value is GroupOf<Record<string, unknown>> {
  return isObject(value) && 'params' in value;
}

function checkShape(who: string, path: string, shape: unknown, length: number): readonly [number, number] {
  if (!Array.isArray(shape) || shape.length !== 2)
    throw typeError(who, `${path}.shape`, show(shape), '[rows, columns]');
  const [rows, columns] = shape.map((n, i) => checkInteger(who, `${path}.shape[${i}]`, n, '[0, inf)')) as [
    number,
    number,
  ];
  if (rows * columns !== length)
    throw rangeError(who, `${path}.shape`, show(shape), `a product of ${length}, the length of its data`);
  return [rows, columns];
}

function toTensor(who: string, path: string, key: string | number, value: unknown): Tensor {
  if (isShaped(value)) {
    const data = checkFloat32(who, `${path}.data`, value.data);
    return { key, path, data, shape: checkShape(who, path, value.shape, lengthOf(data)) };
  }
  return { key, path, data: checkFloat32(who, path, value, 'a Float32Array or { data, shape }'), shape: undefined };
}

function tensorsOf(who: string, path: string, tree: unknown, firstIndex: number): Tensor[] {
  if (Array.isArray(tree))
    return Array.from(tree, (param: unknown, i) => toTensor(who, `${path}[${i}]`, firstIndex + i, param));
  if (isObject(tree) && !isShaped(tree)) {
    return Object.entries(tree).map(([name, param]) => toTensor(who, `${path}[${JSON.stringify(name)}]`, name, param));
  }
  if (isFloat32(tree) || isShaped(tree) || ArrayBuffer.isView(tree)) return [toTensor(who, path, firstIndex, tree)];
  throw typeError(who, path, show(tree), allowed);
}

/**
 * Collects the groups and tensors from the params that a user gave.
 * @param firstIndex Index of the first tensor, after the tensors of earlier calls.
 * @param firstGroup Index of the first group, for the names in errors.
 * @throws TypeError for a value that is not a param, RangeError for an empty list
 */
export function collect(who: string, params: unknown, firstIndex = 0, firstGroup?: number): FoundGroup[] {
  const list = isGroup(params) ? [params] : Array.isArray(params) && params.some(isGroup) ? params : undefined;
  if (list === undefined) {
    const tensors = tensorsOf(who, 'params', params, firstIndex);
    if (tensors.length === 0) throw rangeError(who, 'params', 'nothing', allowed);
    return [{ given: params as ParamTree, tensors, options: {} }];
  }
  let index = firstIndex;
  return Array.from(list, (group: unknown, i) => {
    const path = firstGroup === undefined ? `params[${i}]` : `paramGroups[${firstGroup + i}]`;
    if (!isGroup(group)) throw typeError(who, path, show(group), 'a group { params, … } like the others');
    const { params: given, ...options } = group;
    const tensors = tensorsOf(who, `${path}.params`, given, index);
    if (tensors.length === 0) throw rangeError(who, `${path}.params`, 'nothing', allowed);
    index += tensors.length;
    return { given, tensors, options };
  });
}

/** The structure that gradients of these tensors have. @throws TypeError if only some tensors have names */
export function structureOf(who: string, tensors: readonly Tensor[]): Structure {
  const named = tensors.filter(({ key }) => typeof key === 'string');
  if (named.length === 0) return tensors.length === 1 && tensors[0]?.path === 'params' ? 'single' : 'list';
  if (named.length < tensors.length) {
    const unnamed = tensors.find(({ key }) => typeof key === 'number') as Tensor;
    throw typeError(who, unnamed.path, 'a param without a name', 'a name for each param or for none');
  }
  const seen = new Set<string | number>();
  for (const { key, path } of tensors) {
    if (seen.has(key)) throw rangeError(who, path, 'a name used before', 'names that are unique over the optimizer');
    seen.add(key);
  }
  return 'record';
}

/** Puts one array per tensor into the structure of the gradients. */
export function assemble(structure: Structure, tensors: readonly Tensor[], arrays: readonly Float32Array[]): Arrays {
  if (structure === 'single') return arrays[0] as Float32Array;
  if (structure === 'list') return Object.freeze([...arrays]);
  return Object.freeze(Object.fromEntries(tensors.map(({ key }, i) => [key, arrays[i]]))) as Record<
    string,
    Float32Array
  >;
}

/** Name of a tensor's gradient in errors: `grads`, `grads[1]`, `grads["fc.bias"]`. */
export function gradPath(structure: Structure, { key }: Tensor): string {
  return structure === 'single' ? 'grads' : `grads[${typeof key === 'string' ? JSON.stringify(key) : key}]`;
}

/**
 * Writes the gradient of each tensor to `out`. It checks only the structure. The caller checks type and length of each
 * gradient.
 * @throws TypeError for another structure or a missing or unknown name, RangeError for another count
 */
export function readGrads(
  who: string,
  structure: Structure,
  tensors: readonly Tensor[],
  grads: unknown,
  out: unknown[],
): void {
  const count = tensors.length;
  if (structure === 'record') {
    if (!isObject(grads)) throw typeError(who, 'grads', show(grads), 'a record of gradients by name');
    let given = 0;
    for (const _ in grads) given++;
    for (let i = 0; i < count; i++) {
      const grad = grads[tensors[i]!.key];
      out[i] = grad;
      if (grad === undefined)
        throw typeError(
          who,
          gradPath(structure, tensors[i]!),
          'undefined',
          'a Float32Array, or null to leave the param as it is',
        );
    }
    if (given > count) {
      const unknown = Object.keys(grads).find((name) => !tensors.some(({ key }) => key === name));
      // The extra property is inherited. Every param has its gradient.
      if (unknown === undefined) return;
      throw typeError(
        who,
        `grads[${JSON.stringify(unknown)}]`,
        'no such param',
        `one of ${tensors.map(({ key }) => `"${key}"`).join(', ')}`,
      );
    }
    return;
  }
  if (count === 1 && !Array.isArray(grads)) {
    out[0] = grads;
    return;
  }
  if (!Array.isArray(grads)) throw typeError(who, 'grads', show(grads), `a list of ${count} gradients`);
  if (grads.length !== count) throw rangeError(who, 'grads', `${grads.length} gradient(s)`, String(count));
  for (let i = 0; i < count; i++) out[i] = grads[i];
}
