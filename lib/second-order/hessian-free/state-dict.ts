import { show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import type { Tensor } from '../../core/params.js';
import { checkFrame, checkKeys } from '../../core/state-dict.js';
import { copyFloat64 } from '../sfo/terms-dict.js';
import { optionNames, type ResolvedOptions, resolveOptions } from './options.js';

/** The saved state of one param of {@link HessianFree}. */
export interface HessianFreeParamState {
  /** Number of iterations. */
  readonly step: number;
  /** The param's part of the last iterate of conjugate gradients. */
  readonly cgIterate: Float64Array;
}

/** Everything that a resumed run of {@link HessianFree} needs, apart from the functions and the params. */
export interface HessianFreeStateDict {
  readonly version: 1;
  readonly optimizer: 'HessianFree';
  readonly stepCount: number;
  readonly skippedSteps: number;
  /** The options. `damping` is the one of the next iteration. */
  readonly paramGroups: readonly [
    { readonly params: readonly (string | number)[] } & { readonly [option: string]: unknown },
  ];
  readonly state: { readonly [param: string]: HessianFreeParamState };
}

/** A run, apart from the params. */
export interface SavedRun {
  readonly stepCount: number;
  readonly iterations: number;
  /** With the damping of the next iteration. */
  readonly options: ResolvedOptions;
  readonly cgIterate: Float64Array;
}

/** The state dict of a run. All arrays are copies. */
export function saveRun(optimizer: 'HessianFree', tensors: readonly Tensor[], run: SavedRun): HessianFreeStateDict {
  let offset = 0;
  const states = tensors.map(({ key, data }): [string | number, HessianFreeParamState] => {
    const end = offset + lengthOf(data);
    const state = { step: run.iterations, cgIterate: run.cgIterate.slice(offset, end) };
    offset = end;
    return [key, state];
  });
  return {
    version: 1,
    optimizer,
    stepCount: run.stepCount,
    skippedSteps: 0,
    paramGroups: [{ ...run.options, params: tensors.map(({ key }) => key) }],
    state: Object.fromEntries(states),
  };
}

/** Reads the state dict that {@link saveRun} made. The array is new. @throws TypeError, RangeError */
export function loadRun(optimizer: 'HessianFree', tensors: readonly Tensor[], dict: unknown): SavedRun {
  const who = `${optimizer}.loadStateDict`;
  const keys = tensors.map(({ key }) => key);
  const { stepCount, paramGroups, state } = checkFrame(who, dict, optimizer, 1, keys);
  checkOptions(`${who}: paramGroups[0]`, paramGroups[0], ['params', ...optionNames]);
  const { params, ...others } = paramGroups[0];
  checkKeys(who, 'paramGroups[0].params', params, keys);
  const options = resolveOptions(who, others as Partial<ResolvedOptions>);
  const lengths = tensors.map(({ data }) => lengthOf(data));
  const cgIterate = new Float64Array(lengths.reduce((sum, length) => sum + length, 0));
  let [offset, iterations] = [0, 0];
  for (const [i, length] of lengths.entries()) {
    const path = `state[${JSON.stringify(keys[i])}]`;
    const given: unknown = state[keys[i] as string];
    if (typeof given !== 'object' || given === null) throw typeError(who, path, show(given), 'the state of that param');
    checkOptions(`${who}: ${path}`, given, ['step', 'cgIterate']);
    iterations = checkInteger(who, `${path}.step`, given['step'], '[0, inf)');
    const part = copyFloat64(who, `${path}.cgIterate`, given['cgIterate'], length);
    for (const [k, value] of part.entries()) checkNumber(who, `${path}.cgIterate[${k}]`, value);
    cgIterate.set(part, offset);
    offset += length;
  }
  return { stepCount, iterations, options, cgIterate };
}
