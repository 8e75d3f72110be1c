import { show, typeError } from '../check/errors.js';
import { checkFunction } from '../check/options.js';
import { collect, type GroupOf, type Param } from '../core/params.js';
import { isRecord } from './grads.js';

/**
 * Sorts named params into param groups. A function returns the options for each name.
 *
 * Params with equal options share a group. Numbers and flags are compared by value, pairs by their elements, Schedules
 * by identity. `undefined`, or options that override nothing, stand for the optimizer's own options. Groups, and the
 * params in a group, keep the order of the record. Names do not change, so gradients are given as for ungrouped params.
 *
 * @param params a record of params. The groups hold the same arrays.
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
export function groupBy<Options extends object>(
  params: Readonly<Record<string, Param>>,
  options: (name: string, param: Param) => Options | undefined,
): GroupOf<Partial<Options>>[] {
  const who = 'groupBy';
  const [found] = collect(who, params);
  if (found?.given !== params || found.tensors.some(({ key }) => typeof key === 'number')) {
    throw typeError(who, 'params', show(params), 'a record of params by name');
  }
  checkFunction(who, 'options', options, 'a function, (name) => options');
  const groups: { params: Record<string, Param>; options: Readonly<Record<string, unknown>> }[] = [];
  for (const [name, param] of Object.entries(params)) {
    const paramOptions = checkResult(who, name, options(name, param));
    let group = groups.find((other) => isEqual(other.options, paramOptions));
    if (group === undefined) {
      group = { params: {}, options: paramOptions };
      groups.push(group);
    }
    // Assignment would lose a param named __proto__.
    Object.defineProperty(group.params, name, { value: param, enumerable: true, configurable: true, writable: true });
  }
  return groups.map((group) => ({ params: group.params, ...group.options })) as GroupOf<Partial<Options>>[];
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
