import { isProxy } from 'node:util/types';
import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { checkFloat32, hintFor, isFloat32, isNumbers, lengthOf } from '../check/typed-array.js';
import {
  entryPath,
  type FoundGroup,
  type GroupOf,
  keyOf,
  type ParamTree,
  type Place,
  type Shape,
  type Tensor,
} from './params.js';

const allowed = 'a Float32Array, { data, shape }, a list or a record of them';
const allowedLeaf = 'a Float32Array or { data, shape }';

/** Levels of a tree. A deeper one could overflow the stack of whoever walks it. */
export const maxDepth = 100;

/**
 * Records that hold part of a list: their keys are its indices. `groupBy` makes them, because an array with holes is
 * refused.
 */
const partialLists = new WeakSet<object>();

/** Marks a record as part of a list. */
export function markPartialList(record: object): void {
  partialLists.add(record);
}

/** Whether `value` is a plain object or an instance of a user's class. A Map or a Promise is not. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return !ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Object]';
}

function isGroup(value: unknown): value is GroupOf<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && 'params' in value;
}

/** Whether `value` is a tensor, a weight, a layer or a model of TensorFlow.js, of any copy of that package. */
export function isOfTensorFlow(value: unknown): boolean {
  if (isProxy(value) || !isRecord(value)) return false;
  if ('trainableWeights' in value) return typeof value['getWeights'] === 'function';
  return typeof value['dataSync'] === 'function' || ('originalName' in value && 'constraint' in value);
}

function checkShape(who: string, path: string, shape: unknown, length: number): readonly number[] {
  if (!Array.isArray(shape) || shape.length === 0)
    throw typeError(who, `${path}.shape`, show(shape), 'a list of at least one dimension, such as [rows, columns]');
  const dimensions = Array.from(shape, (n: unknown, i) => checkInteger(who, `${path}.shape[${i}]`, n, '[0, inf)'));
  if (dimensions.reduce((product, n) => product * n, 1) !== length)
    throw rangeError(who, `${path}.shape`, show(shape), `a product of ${length}, the length of its data`);
  return Object.freeze(dimensions);
}

/** Collects the tensors of one tree. */
class TreeReader {
  readonly tensors: Tensor[] = [];
  readonly #who: string;
  readonly #base: string;
  /** Index in the optimizer's list of the first entry of this one. */
  readonly #firstIndex: number;
  /** The branches above the one that is read. */
  readonly #above = new Set<object>();

  constructor(who: string, base: string, firstIndex: number) {
    this.#who = who;
    this.#base = base;
    this.#firstIndex = firstIndex;
  }

  /** @throws TypeError for what is not a tree of params, RangeError for an empty branch */
  read(tree: unknown, place: Place): void {
    const path = entryPath(this.#base, place);
    if (isFloat32(tree)) {
      this.#add(place, checkFloat32(this.#who, path, tree, allowedLeaf), undefined);
      return;
    }
    const isList = !isProxy(tree) && Array.isArray(tree);
    const isTensor = isOfTensorFlow(tree);
    if (isProxy(tree) || isTensor || (!isList && !isRecord(tree)) || (isList && tree.length > 0 && isNumbers(tree)))
      throw typeError(
        this.#who,
        path,
        show(tree),
        place.length === 0 ? allowed : allowedLeaf,
        isTensor
          ? 'for TensorFlow.js: train with wrap(Class, options) of schuss/tfjs, save with model.save'
          : hintFor(tree),
      );
    if (isList) {
      this.#enter(path, tree, () => this.#readList(tree, place));
      return;
    }
    const record = tree as Readonly<Record<string, unknown>>;
    const { data } = record;
    if (isFloat32(data)) {
      checkFloat32(this.#who, `${path}.data`, data);
      this.#add(place, data, checkShape(this.#who, path, record['shape'], lengthOf(data)));
      return;
    }
    // At the root of a group, `params` is a name.
    if (place.length > 0 && 'params' in record)
      throw typeError(this.#who, path, 'a group inside a tree', 'groups in one list, at the top');
    const isPart = partialLists.has(record);
    this.#enter(path, record, () => {
      for (const [name, entry] of Object.entries(record)) {
        if (typeof entry === 'function') continue; // a method of a layer
        this.read(entry, [...place, isPart ? Number(name) : name]);
      }
    });
  }

  #readList(list: readonly unknown[], place: Place): void {
    for (let i = 0; i < list.length; i++) {
      const here = [...place, i];
      if (!(i in list)) throw typeError(this.#who, entryPath(this.#base, here), 'undefined', allowedLeaf, 'a hole');
      this.read(list[i], here);
    }
  }

  #enter(path: string, branch: object, read: () => void): void {
    if (this.#above.has(branch)) throw typeError(this.#who, path, 'a cycle', 'a tree: no branch inside itself');
    if (this.#above.size === maxDepth)
      throw typeError(this.#who, this.#base, 'a deeper tree', `a tree of at most ${maxDepth} levels`);
    const before = this.tensors.length;
    this.#above.add(branch);
    read();
    this.#above.delete(branch);
    const hint = path === this.#base ? undefined : 'leave out what has no params';
    if (this.tensors.length === before) throw rangeError(this.#who, path, 'nothing', allowed, hint);
  }

  #add(local: Place, data: Float32Array, shape: Shape): void {
    const [first, ...rest] = local;
    const place = typeof first === 'number' ? [first + this.#firstIndex, ...rest] : local;
    this.tensors.push({ key: keyOf(place), place, path: entryPath(this.#base, local), data, shape });
  }
}

/** Whether a list has a group before its first hole. */
function hasGroup(list: readonly unknown[]): boolean {
  for (let i = 0; i < list.length && i in list; i++) if (!isProxy(list[i]) && isGroup(list[i])) return true;
  return false;
}

/** Collects the tensors of one tree. @throws TypeError for what is not a tree of params, RangeError for an empty branch */
export function tensorsOf(who: string, base: string, tree: unknown, firstIndex = 0): readonly Tensor[] {
  const isPart = typeof tree === 'object' && tree !== null && partialLists.has(tree);
  const reader = new TreeReader(who, base, isPart ? 0 : firstIndex);
  reader.read(tree, []);
  return reader.tensors;
}

/**
 * Collects the groups and tensors from the params that a user gave.
 * @param firstIndex Index of the first entry of a list, after those of earlier calls.
 * @param firstGroup Index of the first group, for the names in errors.
 * @throws TypeError for a value that is not a param, RangeError for an empty list or record
 */
export function collect(who: string, params: unknown, firstIndex = 0, firstGroup?: number): FoundGroup[] {
  if (isProxy(params)) throw typeError(who, 'params', show(params), allowed, hintFor(params));
  const isListOfGroups = Array.isArray(params) && hasGroup(params);
  if (!isListOfGroups && !isGroup(params))
    return [{ given: params as ParamTree, tensors: tensorsOf(who, 'params', params, firstIndex), options: {} }];
  let next = firstIndex;
  return Array.from(isListOfGroups ? params : [params], (group: unknown, i) => {
    const path = firstGroup === undefined ? `params[${i}]` : `paramGroups[${firstGroup + i}]`;
    if (isProxy(group) || !isGroup(group))
      throw typeError(who, path, show(group), 'a group { params, … } like the others', hintFor(group));
    const { params: given, ...options } = group;
    // A param alone is a list of one.
    const tensors = tensorsOf(who, `${path}.params`, given, next).map((tensor) =>
      tensor.place.length > 0 ? tensor : { ...tensor, key: next, place: [next] },
    );
    next = Math.max(next, listLength(tensors));
    return { given, tensors, options };
  });
}

/** Length of the list at the root that tensors stand in; 0 for a record. */
export function listLength(tensors: readonly Tensor[]): number {
  return tensors.reduce(
    (length, { place: [first = 0] }) => Math.max(length, Number.isInteger(first) ? (first as number) + 1 : 0),
    0,
  );
}
