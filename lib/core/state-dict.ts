import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength } from '../check/typed-array.js';
import { warnOnce } from '../check/warn-once.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';
import type { Group } from './param-group.js';
import { type ParamState, stateBlock } from './param-state.js';
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
  /** The options of the whole optimizer, such as `clipNorm` and `ema`. Absent in dicts of version 0.1 of the library. */
  readonly options?: { readonly [option: string]: unknown };
  /** Whether a ScheduleFree optimizer was in training or evaluation mode. Other classes have no mode. */
  readonly mode?: 'train' | 'eval';
  readonly paramGroups: readonly GroupState[];
  readonly state: { readonly [param: string]: ParamStateDict };
  /** What a distributed optimizer with `compression` has lost by rounding. Other optimizers leave it out. */
  readonly residuals?: unknown;
}

/** Options of `loadStateDict`. */
export interface LoadOptions {
  /**
   * What to do if the dict has a Schedule where the optimizer has a number, or the other way round. `'check'` (default)
   * throws a TypeError, `'keep'` keeps the live value.
   */
  readonly schedules?: 'check' | 'keep' | undefined;
}

/** Step counts that float64 holds exactly. */
const countRange = '[0, 9007199254740991]';

const scheduleMark = Object.freeze({ schedule: true });

function isMark(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { schedule?: unknown }).schedule === true;
}

/** A setting as plain data. */
function stored(value: unknown): unknown {
  if (typeof value === 'function') return scheduleMark;
  return Array.isArray(value) ? value.map(stored) : value;
}

/**
 * A setting after loading. A live Schedule stays where a Schedule was saved.
 * @throws TypeError if only one of both is a Schedule; with `keep` the live value stays instead
 */
export function mergeSetting(who: string, path: string, live: unknown, value: unknown, keep: boolean): unknown {
  const isLive = typeof live === 'function';
  const isSaved = isMark(value);
  if (isLive !== isSaved && !keep)
    throw typeError(
      who,
      path,
      isSaved ? 'a Schedule' : value === undefined ? 'off' : show(value),
      isLive ? 'a Schedule, as this optimizer has' : `a number, as this optimizer has: ${show(live)}`,
      `{ schedules: 'keep' } keeps the live value; to load the saved one, assign ${isSaved ? 'a Schedule' : 'it'} before`,
    );
  if (isLive || isSaved) return live;
  if (!Array.isArray(value)) return value;
  // Not `map`, which asks the user's array for its species.
  return Array.from({ length: value.length }, (_, i) =>
    mergeSetting(who, `${path}[${i}]`, Array.isArray(live) ? live[i] : undefined, value[i], keep),
  );
}

/** Reads the option `schedules`: whether live values stay where only one side has a Schedule. @throws TypeError, RangeError */
export function keepsSchedules(who: string, options: LoadOptions): boolean {
  checkOptions(who, options, ['schedules']);
  return checkOneOf(who, 'schedules', options.schedules ?? 'check', ['check', 'keep']) === 'keep';
}

/** Settings as plain data: those that are set. */
export function saveSettings({ set }: Settings): Record<string, unknown> {
  const values = Object.entries(set).filter(([, value]) => value !== undefined);
  return Object.fromEntries(values.map(([name, value]) => [name, stored(value)]));
}

/** Settings after loading `options`, which lack those that were off. @throws TypeError, RangeError */
export function loadSettings(
  who: string,
  path: string,
  settings: Settings,
  options: Readonly<Record<string, unknown>>,
  keep: boolean,
): Settings {
  const names = Object.keys(settings.set).filter((name) => name in options || settings.isOptional(name));
  const values = names.map((name) => [
    name,
    mergeSetting(who, `${path}.${name}`, settings.set[name], options[name], keep),
  ]);
  return settings.with(Object.fromEntries(values));
}

/** The options of the whole optimizer after loading `saved`. Without it they stay. @throws TypeError, RangeError */
export function loadOptions(who: string, live: Settings, saved: unknown, keep: boolean): Settings {
  if (saved === undefined) return live;
  checkOptions(`${who}: options`, saved, Object.keys(live.set));
  // The number format of the state is this optimizer's own: a dict has the same arrays either way.
  return loadSettings(who, 'options', live, { ...saved, stateDtype: live.set['stateDtype'] }, keep);
}

/** A saved mode, for a class that has one. @throws TypeError, RangeError */
export function checkMode(who: string, live: string | undefined, saved: unknown): 'train' | 'eval' | undefined {
  if (saved === undefined) return undefined;
  if (live === undefined) throw typeError(who, 'mode', show(saved), 'no mode: the class has none');
  return checkOneOf<'train' | 'eval'>(who, 'mode', saved, ['train', 'eval']);
}

/**
 * Warns once of options that the live optimizer had and the saved run had not. A new program that asks for clipping would
 * lose it in silence.
 */
export function warnOfOptionsOff(who: string, before: Settings, after: Settings): void {
  const isOff = (value: unknown): boolean => value === undefined || value === false;
  const off = Object.keys(before.set).filter((name) => !isOff(before.set[name]) && isOff(after.set[name]));
  if (off.length === 0) return;
  const options = `options: { ...s.options, ${off.join(', ')} }`;
  const averages = off.includes('ema') ? ', state: each param with ema: a copy of its weights' : '';
  const remedy = `to turn on what you need: const s = stateDict(); loadStateDict({ ...s, ${options}${averages} })`;
  warnOnce('SCHUSS_OPTION_OFF', `${who}: switches off ${off.join(', ')}, which the saved run did not have (${remedy})`);
}

/** A group as plain data. */
export function saveGroup({ settings, tensors }: Group): GroupState {
  return { ...saveSettings(settings), params: tensors.map(({ key }) => key) };
}

/** The settings of a group after loading `dict`, without changing the group. @throws TypeError, RangeError */
export function loadGroup(
  who: string,
  path: string,
  { settings, tensors }: Group,
  dict: unknown,
  keep: boolean,
): Settings {
  checkOptions(`${who}: ${path}`, dict, ['params', ...Object.keys(settings.set)]);
  const { params, ...options } = dict as Record<string, unknown>;
  checkKeys(
    who,
    `${path}.params`,
    params,
    tensors.map(({ key }) => key),
  );
  return loadSettings(who, path, settings, options, keep);
}

/** Refuses a list that does not name exactly the params `keys`, in any order. @throws TypeError */
export function checkKeys(who: string, path: string, given: unknown, keys: readonly (string | number)[]): void {
  const fits = Array.isArray(given) && given.length === keys.length;
  const names = new Set<unknown>(fits ? given : []);
  if (!fits || keys.some((key) => !names.has(key))) throw typeError(who, path, show(given), show(keys));
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
    ...Object.fromEntries(arrays.map(([name]) => [name, stateBlock(param, name).read()])),
  };
}

/**
 * Checks the saved state of a param. Returns a function that loads it.
 * @param startsLate Whether a param with these scalars may lack its arrays.
 * @throws TypeError, RangeError
 */
export function loadParam(
  who: string,
  param: ParamState,
  scalars: readonly string[],
  arrays: readonly (readonly [name: string, length: number])[],
  dict: unknown,
  startsLate: (scalars: readonly number[]) => boolean = () => false,
): () => void {
  const path = `state[${JSON.stringify(param.key)}]`;
  if (typeof dict !== 'object' || dict === null) throw typeError(who, path, show(dict), 'the state of that param');
  checkOptions(`${who}: ${path}`, dict, ['step', ...scalars, ...arrays.map(([name]) => name)]);
  const step = checkInteger(who, `${path}.step`, dict['step'], countRange);
  const numbers = scalars.map((name) => checkNumber(who, `${path}.${name}`, dict[name]));
  const isLate = startsLate(numbers);
  const sources = arrays.map(([name, length]) => {
    const given = dict[name];
    if (isLate && name !== 'ema' && (given === undefined || given === null)) return undefined; // PyTorch has None
    const array = checkFloat32(who, `${path}.${name}`, given);
    checkLength(who, `${path}.${name}`, array, length);
    return copyFloats(engine(), array); // copied now, because a getter that is read later may detach it
  });
  return () => {
    param.step = step;
    param.scalars = numbers;
    for (const [i, [name]] of arrays.entries()) {
      const source = sources[i];
      if (source === undefined) stateBlock(param, name).fill(0);
      else stateBlock(param, name).write(source);
    }
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
  if (typeof dict !== 'object' || dict === null) throw typeError(who, 'dict', show(dict), 'what stateDict() returned');
  checkOptions(who, dict, [
    'version',
    'optimizer',
    'stepCount',
    'skippedSteps',
    'options',
    'mode',
    'paramGroups',
    'state',
    'residuals', // of compressed gradients: those of a plain run are exact
  ]);
  const { version, optimizer: name, stepCount, skippedSteps, options, mode, paramGroups, state } = dict;
  if (version !== 1) throw rangeError(who, 'version', show(version), '1');
  if (name !== optimizer) throw typeError(who, 'optimizer', show(name), `"${optimizer}"`);
  checkInteger(who, 'stepCount', stepCount, countRange);
  checkInteger(who, 'skippedSteps', skippedSteps, countRange);
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
  return { version, optimizer, stepCount, skippedSteps, options, mode, paramGroups, state } as StateDict;
}
