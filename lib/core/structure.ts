import { rangeError, show, typeError } from '../check/errors.js';
import { hintFor, isNumbers } from '../check/typed-array.js';
import { type Arrays, entryPath, type Place, type Tensor } from './params.js';

/** A list or a record in the tree. */
interface Branch {
  readonly place: Place;
  isList: boolean;
  readonly keys: (string | number)[];
  /** For each key: the index of its tensor, or −1 − the index of its branch, which comes after this one. */
  readonly targets: number[];
  readonly indexOf: Map<string | number, number>;
}

function newBranch(place: Place, isList: boolean): Branch {
  return { place, isList, keys: [], targets: [], indexOf: new Map() };
}

function put(branch: Branch, key: string | number, target: number): void {
  branch.indexOf.set(key, branch.keys.length);
  branch.keys.push(key);
  branch.targets.push(target);
}

/**
 * The structure of an optimizer's params, which gradients and averages share: one array, or a tree of lists and records.
 * The paths are resolved once, so reading the gradients of a step allocates nothing.
 */
export class Structure {
  readonly #who: string;
  /** What errors call the whole. */
  readonly #root: string;
  readonly #tensors: readonly Tensor[];
  /** Parents come before their children; the first one is the root. */
  readonly #branches: readonly Branch[];
  /** All tensors in one record by their paths, and a path that only such a record has; absent if it is the tree itself. */
  readonly #flat: { readonly branch: Branch; readonly sign: string } | undefined;
  /** Whether all tensors stand in one list, in its order. */
  readonly #isPlainList: boolean;
  /** Whether the gradient may stand alone. */
  readonly #isAlone: boolean;
  /** The value read for each branch. Kept, so that a step allocates no list. */
  readonly #values: unknown[] = [];

  /** @throws TypeError if only some tensors have names, RangeError if two have the same */
  constructor(who: string, tensors: readonly Tensor[], root = 'grads') {
    this.#who = who;
    this.#root = root;
    this.#tensors = tensors;
    this.#branches = branchesOf(who, tensors);
    const deep = tensors.find(({ place }) => place.length > 1);
    if (deep !== undefined) {
      const branch = newBranch([], false);
      for (const [i, { key }] of tensors.entries()) put(branch, key, i);
      this.#flat = { branch, sign: deep.key as string };
    }
    const { isList, targets } = this.#branches[0]!;
    this.#isPlainList = isList && targets.every((target, i) => target === i);
    this.#isAlone = tensors.length === 1 && deep === undefined && isList;
  }

  /** Name of a tensor's gradient in errors: `grads`, `grads[1]`, `grads["fc.bias"]`. */
  gradPath({ place }: Tensor): string {
    return entryPath(this.#root, place.length > 0 || this.#tensors.length === 1 ? place : [0]);
  }

  /**
   * Writes the gradient of each tensor to `out`. `null` for a branch is null for each tensor in it. It checks only the structure. The caller checks type and length of each
   * gradient.
   * @throws TypeError for another structure or a missing or unknown name, RangeError for another count
   */
  read(grads: unknown, out: unknown[]): void {
    if (this.#isAlone) {
      if (!Array.isArray(grads)) {
        out[0] = grads;
        return;
      }
      if (typeof grads[0] === 'number') throw this.#otherCount(this.#branches[0]!, grads);
    }
    const count = this.#tensors.length;
    if (this.#isPlainList && Array.isArray(grads) && grads.length === count) {
      for (let i = 0; i < count; i++) out[i] = grads[i];
      return;
    }
    const flat = this.#flat;
    if (flat !== undefined && isRecord(grads) && Object.hasOwn(grads, flat.sign)) {
      this.#readBranch(flat.branch, grads, out);
      return;
    }
    this.#values[0] = grads;
    for (let b = 0; b < this.#branches.length; b++) this.#readBranch(this.#branches[b]!, this.#values[b], out);
  }

  /** Puts one array per tensor into the structure. */
  assemble(arrays: readonly Float32Array[]): Arrays {
    if (this.#tensors.length === 1 && this.#tensors[0]!.place.length === 0) return arrays[0] as Float32Array;
    const built: Arrays[] = [];
    for (let b = this.#branches.length - 1; b >= 0; b--) {
      const { isList, keys, targets } = this.#branches[b]!;
      const values = targets.map((target) => (target >= 0 ? arrays[target] : built[-1 - target])) as Arrays[];
      built[b] = Object.freeze(isList ? values : Object.fromEntries(keys.map((key, i) => [key, values[i]!])));
    }
    return built[0] as Arrays;
  }

  #readBranch(branch: Branch, value: unknown, out: unknown[]): void {
    const { place, isList, keys, targets } = branch;
    const count = keys.length;
    if (value === null && place.length > 0) {
      for (let i = 0; i < count; i++) this.#store(targets[i]!, null, out);
      return;
    }
    if (isList) {
      if (!Array.isArray(value)) throw this.#otherForm(branch, value);
      if (value.length !== count) throw this.#otherCount(branch, value);
      for (let i = 0; i < count; i++) this.#store(targets[i]!, value[i], out);
      return;
    }
    if (!isRecord(value)) throw this.#otherForm(branch, value);
    let given = 0;
    for (const _ in value) given++;
    for (let i = 0; i < count; i++) {
      const entry = value[keys[i]!];
      if (entry === undefined) throw this.#missing(branch, value, i);
      this.#store(targets[i]!, entry, out);
    }
    if (given > count) this.#refuseUnknown(branch, value);
  }

  #store(target: number, value: unknown, out: unknown[]): void {
    if (target >= 0) out[target] = value;
    else this.#values[-1 - target] = value;
  }

  #otherForm({ place, isList, keys }: Branch, value: unknown): TypeError {
    const what = place.length === 0 ? 'gradients' : 'entries';
    const record = place.length === 0 ? 'a record of gradients by name' : `an object with ${keys.join(', ')}`;
    const list = this.#isAlone ? 'a Float32Array or null' : `a list of ${keys.length} ${what}`;
    const expected = isList ? list : record;
    return typeError(this.#who, entryPath(this.#root, place), show(value), expected, hintFor(value));
  }

  #otherCount(branch: Branch, list: readonly unknown[]): Error {
    // A list of numbers is one gradient in a plain array.
    if (list.length > 0 && isNumbers(list)) return this.#otherForm(branch, list);
    return rangeError(
      this.#who,
      entryPath(this.#root, branch.place),
      `${list.length} gradient(s)`,
      String(branch.keys.length),
    );
  }

  #missing(branch: Branch, value: object, i: number): TypeError {
    // The entries of a Map are no properties.
    if (value instanceof Map) return this.#otherForm(branch, value);
    const { place, keys, targets } = branch;
    const path = entryPath(this.#root, [...place, keys[i]!]);
    if (targets[i]! >= 0)
      return typeError(this.#who, path, 'undefined', 'a Float32Array, or null to leave the param as it is');
    const form = this.#branches[-1 - targets[i]!]!.isList ? 'a list' : 'an object';
    const all = `${form}, as in params; or all gradients in one record of paths, such as "${this.#flat?.sign}"`;
    return typeError(this.#who, path, 'undefined', all);
  }

  #refuseUnknown({ place, keys }: Branch, value: object): void {
    const unknown = Object.keys(value).find((name) => !keys.some((key) => String(key) === name));
    // The extra property is inherited. Every param has its gradient.
    if (unknown === undefined) return;
    const names = keys.map((key) => `"${[...place, key].join('.')}"`).join(', ');
    throw typeError(this.#who, entryPath(this.#root, [...place, unknown]), 'no such param', `one of ${names}`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string | number, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Builds the tree that tensors stand in. @throws TypeError, RangeError for tensors that have no tree in common */
function branchesOf(who: string, tensors: readonly Tensor[]): readonly Branch[] {
  const places = tensors.map(({ place }) => (place.length === 0 ? [0] : place));
  const isList = places.every(([first]) => typeof first === 'number');
  const unnamed = tensors.find((_, i) => typeof places[i]![0] === 'number');
  if (!isList && unnamed !== undefined)
    throw typeError(who, unnamed.path, 'a param without a name', 'a name for each param or for none');
  const branches = [newBranch([], isList)];
  const names = new Set<string>();
  for (const [i, { path, key }] of tensors.entries()) {
    const place = places[i]!;
    const leaf = place.at(-1) as string | number;
    const branch = enter(who, branches, place, path);
    if (names.has(String(key)) || branch?.indexOf.has(leaf) !== false)
      throw rangeError(
        who,
        path,
        'a name used before',
        'names that are unique over the optimizer',
        'give a layer its name: { params: { fc1: layer } }',
      );
    names.add(String(key));
    put(branch, leaf, i);
  }
  for (const branch of branches) sortList(branch);
  return branches;
}

/** The branch that holds a tensor, made if there is none; undefined if its path leads through another tensor. */
function enter(who: string, branches: Branch[], place: Place, path: string): Branch | undefined {
  let branch = branches[0]!;
  for (let depth = 1; depth < place.length; depth++) {
    const key = place[depth - 1]!;
    const isList = typeof place[depth] === 'number';
    const known = branch.indexOf.get(key);
    const target = known === undefined ? -1 - branches.length : branch.targets[known]!;
    if (target >= 0) return undefined;
    if (known === undefined) {
      put(branch, key, target);
      branches.push(newBranch(place.slice(0, depth), isList));
    }
    branch = branches[-1 - target]!;
    if (branch.isList !== isList)
      throw typeError(who, path, isList ? 'an entry of a list' : 'an entry of a record', 'the form of the other group');
  }
  return branch;
}

/** Puts the entries of a list in order. A list that lacks some is a record by index. */
function sortList(branch: Branch): void {
  if (!branch.isList) return;
  const order = branch.keys.map((key, i) => [key as number, branch.targets[i]!] as const).sort(([a], [b]) => a - b);
  branch.isList = order.every(([index], i) => index === i);
  branch.keys.splice(0, order.length, ...order.map(([index]) => (branch.isList ? index : String(index))));
  branch.targets.splice(0, order.length, ...order.map(([, target]) => target));
}
