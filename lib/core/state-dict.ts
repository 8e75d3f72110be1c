import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';
import type { Group } from './param-group.js';
import { type ParamState, stateArray } from './param-state.js';
import type { Settings } from './settings.js';

/** The saved state of one param: its update count `step`, and the numbers and arrays of its class. */
export type ParamStateDict = { readonly step: number } & { readonly [name: string]: number | Float32Array };

/**
 * A saved param group: its options, with a Schedule as `{ schedule: true }`, and the names or indices of its params.
 */
export type GroupState = { readonly params: readonly (string | number)[] } & { readonly [option: string]: unknown };

/** Everything that a resumed run needs, except the params. */
export interface StateDict {
  readonly version: 1;
  readonly optimizer: string;
  readonly stepCount: number;
  readonly skippedSteps: number;
  readonly paramGroups: readonly GroupState[];
  readonly state: { readonly [param: string]: ParamStateDict };
}

const scheduleMark = Object.freeze({ schedule: true });

function isMark(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { schedule?: unknown }).schedule === true;
}

/** A setting as plain data. */
function stored(value: unknown): unknown {
  if (typeof value === 'function') return scheduleMark;
  return Array.isArray(value) ? value.map(stored) : value;
}

/** A setting after loading. The live value stays if it is a Schedule, or if a Schedule was saved. */
function merged(live: unknown, value: unknown): unknown {
  if (isMark(value) || typeof live === 'function') return live;
  return Array.isArray(value) ? value.map((v, i) => merged(Array.isArray(live) ? live[i] : undefined, v)) : value;
}

/** A group as plain data. */
export function saveGroup({ settings, tensors }: Group): GroupState {
  const options = Object.entries(settings.set).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(options.map(([name, value]) => [name, stored(value)])),
    params: tensors.map(({ key }) => key),
  };
}

/** The settings of a group after loading `dict`, without changing the group. @throws TypeError, RangeError */
export function loadGroup(who: string, path: string, { settings, tensors }: Group, dict: unknown): Settings {
  checkOptions(`${who}: ${path}`, dict, ['params', ...Object.keys(settings.set)]);
  const { params, ...options } = dict as Record<string, unknown>;
  const keys = tensors.map(({ key }) => key);
  if (!Array.isArray(params) || params.length !== keys.length || keys.some((key, i) => key !== params[i])) {
    throw typeError(who, `${path}.params`, show(params), show(keys));
  }
  // An optional setting that the dict lacks was off when it was saved.
  const names = Object.keys(settings.set).filter((name) => name in options || settings.isOptional(name));
  return settings.with(Object.fromEntries(names.map((name) => [name, merged(settings.set[name], options[name])])));
}

/** The state of a param as plain data. Arrays are copied. */
export function saveParam(
  param: ParamState,
  scalars: readonly string[],
  arrays: readonly (readonly [name: string, length: number])[],
): ParamStateDict {
  return {
    step: param.step,
    ...Object.fromEntries(scalars.map((name, i) => [name, param.scalars[i] as number])),
    ...Object.fromEntries(arrays.map(([name]) => [name, copyFloats(engine(), stateArray(param, name))])),
  };
}

/** Checks the saved state of a param. Returns a function that loads it. @throws TypeError, RangeError */
export function loadParam(
  who: string,
  param: ParamState,
  scalars: readonly string[],
  arrays: readonly (readonly [name: string, length: number])[],
  dict: unknown,
): () => void {
  const path = `state[${JSON.stringify(param.key)}]`;
  if (typeof dict !== 'object' || dict === null) throw typeError(who, path, show(dict), 'the state of that param');
  checkOptions(`${who}: ${path}`, dict, ['step', ...scalars, ...arrays.map(([name]) => name)]);
  const step = checkInteger(who, `${path}.step`, dict['step'], '[0, inf)');
  const numbers = scalars.map((name) => checkNumber(who, `${path}.${name}`, dict[name]));
  const sources = arrays.map(([name, length]) => {
    const array = checkFloat32(who, `${path}.${name}`, dict[name]);
    checkLength(who, `${path}.${name}`, array, length);
    return copyFloats(engine(), array); // copied now, because a getter that is read later may detach it
  });
  return () => {
    param.step = step;
    param.scalars = numbers;
    for (const [i, [name]] of arrays.entries()) stateArray(param, name).set(sources[i] as Float32Array);
  };
}

/** Checks everything in a dict except options and arrays: class, counts, number of groups, names of params. @throws */
export function checkFrame(
  who: string,
  dict: unknown,
  optimizer: string,
  groups: number,
  keys: readonly (string | number)[],
): StateDict {
  checkOptions(who, dict, ['version', 'optimizer', 'stepCount', 'skippedSteps', 'paramGroups', 'state']);
  const { version, optimizer: name, stepCount, skippedSteps, paramGroups, state } = dict;
  if (version !== 1) throw rangeError(who, 'version', show(version), '1');
  if (name !== optimizer) throw typeError(who, 'optimizer', show(name), `"${optimizer}"`);
  checkInteger(who, 'stepCount', stepCount, '[0, inf)');
  checkInteger(who, 'skippedSteps', skippedSteps, '[0, inf)');
  if (!Array.isArray(paramGroups)) throw typeError(who, 'paramGroups', show(paramGroups), 'a list');
  if (paramGroups.length !== groups)
    throw rangeError(who, 'paramGroups', `${paramGroups.length} group(s)`, String(groups));
  if (typeof state !== 'object' || state === null) throw typeError(who, 'state', show(state), 'a record by param');
  const known = new Set(keys.map(String));
  for (const key of Object.keys(state)) {
    if (!known.has(key))
      throw typeError(
        who,
        `state[${JSON.stringify(key)}]`,
        'no such param',
        [...known].map((k) => `"${k}"`).join(', '),
      );
  }
  return { version, optimizer, stepCount, skippedSteps, paramGroups, state } as StateDict;
}
