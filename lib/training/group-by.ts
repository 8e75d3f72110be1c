import { show, typeError } from '../check/errors.js';
import { checkFunction } from '../check/options.js';
import { collect, markPartialList } from '../core/collect.js';
import type { FoundGroup, GroupOf, Param, Tensor } from '../core/params.js';
import type { GivenTree, PartOf } from '../core/params-of.js';
import { Structure } from '../core/structure.js';
import { isRecord } from './grads.js';

/**
 * Sorts named params into param groups, by the options that a function returns for each name.
 *
 * Params with equal options share a group. Numbers and flags are compared by value, pairs by their elements, Schedules
 * by identity. `undefined`, or options that override nothing, stand for the optimizer's own options. Groups, and the
 * params in a group, keep the order of the params. Names do not change, so gradients are given as for ungrouped params.
 *
 * @param params a record of params, or a tree: its names are paths, such as `layers.0.weight`. The groups hold the same
 *   arrays.
 * @param options (name, param) => options of the group, or undefined. Called once for each param. The optimizer checks
 *   the result.
 * @returns groups for the constructor of an optimizer
 * @throws TypeError for params without names, or if `options` returns anything but an object of options or undefined
 * @example
 * ```ts
 * import { AdamW, groupBy } from 'schuss';
 *
 * const params = { 'fc.weight': new Float32Array([1, 2]), 'fc.bias': new Float32Array([3]) };
 * const groups = groupBy(params, (name) => (name.endsWith('bias') ? { weightDecay: 0 } : undefined));
 * const adamw = new AdamW(groups, { lr: 0.5, weightDecay: 0.5 });
 * adamw.step({ 'fc.weight': new Float32Array(2), 'fc.bias': new Float32Array(1) });
 * params['fc.weight'][0]; // 0.75
 * params['fc.bias'][0]; // 3
 * ```
 */
export function groupBy<Options extends object, const P extends object>(
  params: GivenTree<P>,
  options: (name: string, param: Param) => Options | undefined,
): GroupOf<Partial<Options>, PartOf<P>>[] {
  const who = 'groupBy';
  const found = collect(who, params)[0] as FoundGroup;
  if ((found.given as unknown) !== params || found.tensors.some(({ key }) => typeof key === 'number')) {
    throw typeError(who, 'params', show(params), 'a record of params by name');
  }
  new Structure(who, found.tensors); // checks the names
  checkFunction(who, 'options', options, 'a function, (name) => options');
  const groups: { params: Branch; options: Readonly<Record<string, unknown>> }[] = [];
  for (const tensor of found.tensors) {
    const name = tensor.key as string;
    const param = paramAt(params, tensor);
    const paramOptions = checkResult(who, name, options(name, param));
    let group = groups.find((other) => isEqual(other.options, paramOptions));
    if (group === undefined) {
      group = { params: newBranch(tensor.place[0]), options: paramOptions };
      groups.push(group);
    }
    put(group.params, tensor, param);
  }
  return groups.map((group) => ({ params: group.params, ...group.options })) as unknown as GroupOf<
    Partial<Options>,
    PartOf<P>
  >[];
}

interface Branch {
  [key: string | number]: Branch | Param;
}

/** A branch for the entries of a list or of a record, by their first key. */
function newBranch(key: string | number | undefined): Branch {
  const branch = {};
  if (typeof key === 'number') markPartialList(branch);
  return branch;
}

/** Puts a param into a tree, at its place in the whole tree. */
function put(tree: Branch, { place }: Tensor, param: Param): void {
  let branch = tree;
  for (const [depth, key] of place.entries()) {
    const isLeaf = depth === place.length - 1;
    if (!isLeaf && Object.hasOwn(branch, key)) {
      branch = branch[key] as Branch;
      continue;
    }
    const value = isLeaf ? param : newBranch(place[depth + 1]);
    // Assignment would lose a param named __proto__.
    Object.defineProperty(branch, key, { value, enumerable: true, configurable: true, writable: true });
    branch = value as Branch;
  }
}

/** The param as the user gave it, with its shape. */
function paramAt(tree: unknown, { place }: Tensor): Param {
  return place.reduce((branch, key) => (branch as Record<string | number, unknown>)[key], tree) as Param;
}

/** Checks the options for a name and removes those that are undefined. @throws TypeError */
function checkResult(who: string, name: string, options: unknown): Readonly<Record<string, unknown>> {
  const path = `options(${JSON.stringify(name)})`;
  if (options === undefined) return {};
  if (!isRecord(options)) throw typeError(who, path, show(options), 'an object of options, or undefined');
  if ('params' in options) throw typeError(who, `${path}.params`, show(options['params']), 'options alone');
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function isEqual(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => isSameValue(a[name], b[name]));
}

function isSameValue(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
  return Object.is(a, b);
}
