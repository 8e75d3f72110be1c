import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkOptions } from '../../check/options.js';
import { checkFloat32, checkLength, floatsOf, lengthOf } from '../../check/typed-array.js';
import type { Scalar } from '../../core/declaration.js';
import type { Tensor } from '../../core/params.js';
import {
  checkFrame,
  checkKeys,
  keepsSchedules,
  type LoadOptions,
  mergeSetting,
  type ParamStateDict,
  type StateDict,
} from '../../core/state-dict.js';
import { optionNames, type ResolvedOptions, resolveOptions } from './options.js';
import type { Pair } from './two-loop.js';

/** A pair as it is stored. ρ follows from s and y. */
type StoredPair = Pick<Pair, 's' | 'y'>;

/** Everything that a resumed run needs, apart from the params. */
interface SavedRun {
  readonly stepCount: number;
  readonly iterations: number;
  readonly options: ResolvedOptions;
  /** The oldest first. */
  readonly pairs: readonly StoredPair[];
}

/** The state dict of a run. All arrays are copies. */
export function saveRun(optimizer: string, tensors: readonly Tensor[], run: SavedRun): StateDict {
  const { lr, ...others } = run.options;
  return {
    version: 1,
    optimizer,
    stepCount: run.stepCount,
    skippedSteps: 0,
    paramGroups: [
      {
        lr: typeof lr === 'function' ? { schedule: true } : lr,
        ...others,
        params: tensors.map(({ key }) => key),
      },
    ],
    state: savePairs(tensors, run.iterations, run.pairs),
  };
}

/**
 * Reads the state dict that {@link saveRun} made. The pairs are new arrays.
 *
 * @param liveLr the optimizer's lr. A Schedule stays where a Schedule was saved.
 * @throws TypeError, RangeError
 */
export function loadRun(
  optimizer: string,
  tensors: readonly Tensor[],
  dict: StateDict,
  liveLr: Scalar,
  loadOptions: LoadOptions,
): SavedRun {
  const who = `${optimizer}.loadStateDict`;
  const keep = keepsSchedules(who, loadOptions);
  const keys = tensors.map(({ key }) => key);
  const { stepCount, paramGroups, state } = checkFrame(who, dict, optimizer, 1, keys);
  const group = withNewNames(paramGroups[0]);
  checkOptions(`${who}: paramGroups[0]`, group, ['params', ...optionNames]);
  const { params, lr, ...others } = group;
  checkKeys(who, 'paramGroups[0].params', params, keys);
  const merged = mergeSetting(who, 'paramGroups[0].lr', liveLr, lr, keep);
  const options = resolveOptions(who, { ...others, lr: merged } as Partial<ResolvedOptions>);
  return { stepCount, options, ...loadPairs(who, tensors, state, options.historySize) };
}

/**
 * The options of a group, with the tolerances that had PyTorch's names in earlier versions under their names of today.
 */
function withNewNames<G>(group: G): G {
  if (typeof group !== 'object' || group === null || !('toleranceGrad' in group)) return group;
  const { toleranceGrad: gradTol, toleranceChange, ...others } = group as Record<string, unknown>;
  return { ...others, gradTol, funTol: toleranceChange, stepTol: toleranceChange } as G;
}

/** Splits the pairs by param. The vectors of all pairs are concatenated, the oldest first. */
function savePairs(tensors: readonly Tensor[], iterations: number, pairs: readonly StoredPair[]): StateDict['state'] {
  let offset = 0;
  const states = tensors.map(({ key, data }): [string | number, ParamStateDict] => {
    const length = lengthOf(data);
    const concatenate = (name: 's' | 'y'): Float32Array => {
      const all = new Float32Array(pairs.length * length);
      for (const [i, pair] of pairs.entries()) all.set(pair[name].subarray(offset, offset + length), i * length);
      return all;
    };
    const state = { step: iterations, oldDirs: concatenate('y'), oldStps: concatenate('s') };
    offset += length;
    return [key, state];
  });
  return Object.fromEntries(states);
}

/** Joins the pairs that {@link savePairs} has split. @throws TypeError, RangeError */
function loadPairs(
  who: string,
  tensors: readonly Tensor[],
  state: StateDict['state'],
  historySize: number,
): Pick<SavedRun, 'iterations' | 'pairs'> {
  const states = tensors.map(({ key }) => {
    const path = `state[${JSON.stringify(key)}]`;
    const dict: unknown = state[key];
    if (typeof dict !== 'object' || dict === null) throw typeError(who, path, show(dict), 'the state of that param');
    checkOptions(`${who}: ${path}`, dict, ['step', 'oldDirs', 'oldStps']);
    return {
      path,
      step: checkInteger(who, `${path}.step`, dict['step'], '[0, inf)'),
      y: checkFloat32(who, `${path}.oldDirs`, dict['oldDirs']),
      s: checkFloat32(who, `${path}.oldStps`, dict['oldStps']),
    };
  });
  const lengths = tensors.map(({ data }) => lengthOf(data));
  // The number of pairs follows from the length of the arrays, so an empty param cannot tell it.
  const nonEmpty = lengths.findIndex((length) => length > 0);
  const count = nonEmpty < 0 ? 0 : lengthOf(states[nonEmpty]!.s) / lengths[nonEmpty]!;
  if (!Number.isInteger(count) || count > historySize)
    throw rangeError(
      who,
      `${states[nonEmpty]!.path}.oldStps`,
      `${count} pairs`,
      `a whole number, at most ${historySize}`,
    );
  for (const [i, { path, y, s }] of states.entries()) {
    checkLength(who, `${path}.oldStps`, s, count * lengths[i]!);
    checkLength(who, `${path}.oldDirs`, y, count * lengths[i]!);
  }
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const pairs = Array.from({ length: count }, (_, p) => {
    const pair = { s: new Float32Array(total), y: new Float32Array(total) };
    let offset = 0;
    for (const [i, length] of lengths.entries()) {
      for (const name of ['s', 'y'] as const)
        pair[name].set(floatsOf(states[i]![name], p * length, (p + 1) * length), offset);
      offset += length;
    }
    return pair;
  });
  return { iterations: states[0]?.step ?? 0, pairs };
}
