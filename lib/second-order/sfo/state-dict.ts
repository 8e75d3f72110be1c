import { isFloat32Array } from 'node:util/types';
import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Tensor } from '../../core/params.js';
import { checkFrame, checkKeys } from '../../core/state-dict.js';
import { counterNames, type ModelState } from './model-state.js';
import { checkSettings, type SFOHyperParameters, type SFOSettings, sfoOptionNames } from './settings.js';
import { subspaceSize } from './subspace.js';
import { copyFloat64, packTerms, type TermsDict, unpackTerms } from './terms-dict.js';

/** The saved state of one param of {@link SFO}. */
export interface SFOParamState {
  /** Number of evaluations of terms. */
  readonly step: number;
  /** The param after the last step. */
  readonly point: Float32Array;
  /** The param where the last step started. */
  readonly lastPoint: Float32Array;
  /** The param's part of the columns of the subspace, one after the other. */
  readonly basis: Float64Array;
}

/** What {@link SFO} has learnt, in the subspace. */
export interface SFOModelState {
  readonly counters: Readonly<Record<string, number>>;
  readonly z: Float64Array;
  readonly origin: Float64Array;
  readonly lowRank: Float64Array;
  /** The active terms: their numbers and vectors, one after the other. */
  readonly terms: TermsDict;
}

/** Everything that a resumed run of {@link SFO} needs, apart from the function and the params. */
export interface SFOStateDict {
  readonly version: 1;
  readonly optimizer: 'SFO';
  readonly stepCount: number;
  readonly skippedSteps: number;
  readonly paramGroups: readonly [
    { readonly params: readonly (string | number)[]; readonly N: number } & { readonly [option: string]: unknown },
  ];
  readonly state: { readonly [param: string]: SFOParamState };
  readonly model: SFOModelState;
}

/** A run of SFO, with the state of its model in arrays. */
export interface SavedRun {
  readonly stepCount: number;
  readonly N: number;
  readonly settings: SFOSettings & { readonly seed: number };
  readonly model: ModelState;
}

/** The state dict of a run. All arrays are copies. */
export function saveRun(optimizer: 'SFO', tensors: readonly Tensor[], run: SavedRun): SFOStateDict {
  const { theta, lastGood, basis, z, origin, lowRank, terms, counters } = run.model;
  let offset = 0;
  const states = tensors.map(({ key, data }): [string | number, SFOParamState] => {
    const length = lengthOf(data);
    const end = offset + length;
    const all = new Float64Array(basis.length * length);
    for (const [k, column] of basis.entries()) all.set(column.subarray(offset, end), k * length);
    const state = {
      step: counters.evaluations,
      point: Float32Array.from(theta.subarray(offset, end)),
      lastPoint: Float32Array.from(lastGood.subarray(offset, end)),
      basis: all,
    };
    offset = end;
    return [key, state];
  });
  const { N, settings, stepCount } = run;
  return {
    version: 1,
    optimizer,
    stepCount,
    skippedSteps: 0,
    paramGroups: [{ N, ...settings, params: tensors.map(({ key }) => key) }],
    state: Object.fromEntries(states),
    model: {
      counters: { ...counters },
      z: z.slice(),
      origin: origin.slice(),
      lowRank: lowRank.slice(),
      terms: packTerms(terms, z.length),
    },
  };
}

/** Reads the state dict that {@link saveRun} made. All arrays are new. @throws TypeError, RangeError */
export function loadRun(optimizer: 'SFO', tensors: readonly Tensor[], liveN: number, given: unknown): SavedRun {
  const who = `${optimizer}.loadStateDict`;
  if (typeof given !== 'object' || given === null)
    throw typeError(who, 'dict', show(given), 'what stateDict() returned');
  const { model, ...dict } = given as { readonly model?: unknown };
  const keys = tensors.map(({ key }) => key);
  const { stepCount, paramGroups, state } = checkFrame(who, dict, optimizer, 1, keys);
  checkOptions(`${who}: paramGroups[0]`, paramGroups[0], ['params', 'N', ...sfoOptionNames]);
  const { params, N, ...others } = paramGroups[0];
  checkKeys(who, 'paramGroups[0].params', params, keys);
  // The vectors in the subspace depend on the order of the params.
  if (params.some((key, i) => key !== keys[i]))
    throw typeError(who, 'paramGroups[0].params', show(params), `${show(keys)}, in this order`);
  if (N !== liveN) throw rangeError(who, 'paramGroups[0].N', show(N), `${liveN}, as this SFO has`);
  const settings = checkSettings(who, others as SFOHyperParameters);

  const lengths = tensors.map(({ data }) => lengthOf(data));
  const M = lengths.reduce((sum, length) => sum + length, 0);
  const { size } = subspaceSize(M, liveN);
  checkOptions(`${who}: model`, model, ['counters', 'z', 'origin', 'lowRank', 'terms']);
  const counters = loadCounters(`${who}: model.counters`, model['counters']);
  const terms = unpackTerms(`${who}: model.terms`, model['terms'], liveN, size, settings.historySize);
  const z = copyFloat64(who, 'model.z', model['z'], size);
  const origin = copyFloat64(who, 'model.origin', model['origin'], size);
  const lowRank = copyFloat64(who, 'model.lowRank', model['lowRank'], size ** 2);

  const [theta, lastGood] = [new Float64Array(M), new Float64Array(M)];
  const basis: Float64Array[] = [];
  let offset = 0;
  for (const [i, length] of lengths.entries()) {
    const path = `state[${JSON.stringify(keys[i])}]`;
    const dict: unknown = state[keys[i] as string];
    if (typeof dict !== 'object' || dict === null) throw typeError(who, path, show(dict), 'the state of that param');
    checkOptions(`${who}: ${path}`, dict, ['step', 'point', 'lastPoint', 'basis']);
    checkInteger(who, `${path}.step`, dict['step'], '[0, inf)');
    theta.set(copyPoint(who, `${path}.point`, dict['point'], length), offset);
    lastGood.set(copyPoint(who, `${path}.lastPoint`, dict['lastPoint'], length), offset);
    loadColumns(who, `${path}.basis`, dict['basis'], { length, offset, M, size }, basis);
    offset += length;
  }
  return { stepCount, N: liveN, settings, model: { theta, lastGood, z, origin, basis, lowRank, terms, counters } };
}

function loadCounters(who: string, given: unknown): ModelState['counters'] {
  checkOptions(who, given, counterNames);
  const checked = counterNames.map((name) => {
    const value = given[name];
    if (name === 'random') return [name, checkInteger(who, name, value, '[-2147483648, 4294967295]')];
    if (name !== 'stepScale' && name !== 'pathLength' && name !== 'predictedDecrease')
      return [name, checkInteger(who, name, value, '[0, inf)')];
    if (typeof value !== 'number') throw typeError(who, name, show(value), 'a number');
    return [name, value];
  });
  return Object.fromEntries(checked) as ModelState['counters'];
}

/** Copies a param's part of the columns into `columns`, which the first non-empty param creates. */
function loadColumns(
  who: string,
  path: string,
  given: unknown,
  part: { readonly length: number; readonly offset: number; readonly M: number; readonly size: number },
  columns: Float64Array[],
): void {
  const { length, offset, M, size } = part;
  const all = copyFloat64(who, path, given);
  // The subspace is the whole space, or the param is empty: there are no columns to read.
  if (size === M || length === 0) {
    if (all.length > 0) throw rangeError(who, path, `length ${all.length}`, '0');
    return;
  }
  const count = all.length / length;
  const isFirst = columns.length === 0;
  if (!Number.isInteger(count) || count < 1 || count >= size || !(isFirst || count === columns.length))
    throw rangeError(who, path, `length ${all.length}`, `a multiple of ${length}, for 1 to ${size - 1} columns`);
  if (isFirst) for (let k = 0; k < count; k++) columns.push(new Float64Array(M));
  for (const [k, column] of columns.entries()) column.set(all.subarray(k * length, (k + 1) * length), offset);
}

function copyPoint(who: string, path: string, given: unknown, length: number): Float32Array {
  if (!isFloat32Array(given)) throw typeError(who, path, show(given), 'a Float32Array');
  const actual = lengthOf(given);
  if (actual !== length) throw rangeError(who, path, `length ${actual}`, `${length}`);
  const copy = new Float32Array(actual);
  if (actual > 0) copy.set(given);
  const bad = copy.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) throw rangeError(who, `${path}[${bad}]`, show(copy[bad]), 'a finite number');
  return copy;
}
