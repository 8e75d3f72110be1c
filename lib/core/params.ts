import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { checkFloat32, isFloat32, lengthOf } from '../check/typed-array.js';
import type { Rows } from '../engine/engine.js';

/** Parameters that are updated in place: a Float32Array, or one with a shape (row-major). */
export type Param = Float32Array | { readonly data: Float32Array; readonly shape: readonly [number, number] };

/** Parameters as they may be given: one, a list, or named ones. */
export type ParamTree = Param | readonly Param[] | Readonly<Record<string, Param>>;

/** Parameters with options that override the optimizer's. */
export type GroupOf<Options> = { readonly params: ParamTree } & Options;

/** What an optimizer takes as its first argument. */
export type Params<Options> = ParamTree | readonly GroupOf<Options>[];

/**
 * A gradient for the rows of a param that are named, such as those of an embedding table: `values` holds a row for each of
 * `rows`, and a row has `values.length / rows.length` elements. Rows that are not named, and their state, stay as they
 * are; one that is named twice has the sum of its gradients.
 */
export interface SparseGrad {
  readonly rows: Rows;
  readonly values: Float32Array;
}

/** The gradient of one param; `null` leaves the param and its state untouched. */
export type Grad = Float32Array | SparseGrad | null;

/** Gradients in the structure of the params: one, a flat list in group order, or a record over all names. */
export type Grads = Grad | readonly Grad[] | Readonly<Record<string, Grad>>;

/** Arrays in the structure in which gradients are given. */
export type Arrays = Float32Array | readonly Float32Array[] | Readonly<Record<string, Float32Array>>;

/** How gradients are given: one, a list, or by name. */
export type Structure = 'single' | 'list' | 'record';

/** One param, found in what the user gave. */
export interface Tensor {
  /** Its name, or its index over the optimizer. */
  readonly key: string | number;
  /** How errors call it: `params[1]`, `params["fc.bias"]`. */
  readonly path: string;
  data: Float32Array;
  readonly shape: readonly [number, number] | undefined;
}

/** A group as it was found: its tensors, and its options unchecked. */
export interface FoundGroup {
  readonly given: ParamTree;
  readonly tensors: readonly Tensor[];
  readonly options: Readonly<Record<string, unknown>>;
}

const allowed = 'a Float32Array, { data, shape }, a list or a record of them';

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Whether it is meant as the gradient of some rows. */
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
 * Finds the groups and tensors in what a user gave as params. `firstIndex` and `firstGroup` count on from earlier calls.
 * @throws TypeError for anything that is no param, RangeError for none at all
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

/** In which structure gradients for these tensors are given. @throws TypeError if only some are named. */
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

/** One array a tensor, put into the structure in which gradients are given. */
export function assemble(structure: Structure, tensors: readonly Tensor[], arrays: readonly Float32Array[]): Arrays {
  if (structure === 'single') return arrays[0] as Float32Array;
  if (structure === 'list') return Object.freeze([...arrays]);
  return Object.freeze(Object.fromEntries(tensors.map(({ key }, i) => [key, arrays[i]]))) as Record<
    string,
    Float32Array
  >;
}

/** How errors call the gradient of a tensor: `grads`, `grads[1]`, `grads["fc.bias"]`. */
export function gradPath(structure: Structure, { key }: Tensor): string {
  return structure === 'single' ? 'grads' : `grads[${typeof key === 'string' ? JSON.stringify(key) : key}]`;
}

/**
 * Writes the gradient of each tensor to `out`. Looks at the structure alone: whether each is an array of the right
 * length is for the caller.
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
      if (unknown === undefined) return; // a method or an inherited name: all gradients are there
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
