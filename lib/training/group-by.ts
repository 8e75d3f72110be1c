import { show, typeError } from '../check/errors.js';
import { checkFunction } from '../check/options.js';
import { collect, type GroupOf, type Param } from '../core/params.js';
import { isRecord } from './grads.js';

/**
 * Sorts named params into groups by the options that a function gives for each name.
 *
 * `undefined`, and options that override nothing, mean the optimizer's own. Params whose options are equal (the same
 * numbers and flags, pairs by their elements, Schedules by identity) share a group; groups, and params within one, keep
 * the order of the record. Names stay as they are, so gradients are given as for the ungrouped params.
 *
 * @param params a record of params
 * @param options called once a param with its name and the param; what it returns is checked by the optimizer
 * @returns groups for an optimizer
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
    const own = given(who, name, options(name, param));
    let group = groups.find((other) => equal(other.options, own));
    if (group === undefined) {
      group = { params: {}, options: own };
      groups.push(group);
    }
    // Not by assignment, which would lose a param called __proto__.
    Object.defineProperty(group.params, name, { value: param, enumerable: true, configurable: true, writable: true });
  }
  return groups.map((group) => ({ params: group.params, ...group.options })) as GroupOf<Partial<Options>>[];
}

/** The options that a name was given, without those left open. */
function given(who: string, name: string, options: unknown): Readonly<Record<string, unknown>> {
  const path = `options(${JSON.stringify(name)})`;
  if (options === undefined) return {};
  if (!isRecord(options)) throw typeError(who, path, show(options), 'an object of options, or undefined');
  if ('params' in options) throw typeError(who, `${path}.params`, show(options['params']), 'options alone');
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function equal(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => same(a[name], b[name]));
}

function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
  return Object.is(a, b);
}
