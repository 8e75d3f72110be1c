import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkOptions } from '../../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../../check/typed-array.js';
import type { Tensor } from '../../core/params.js';
import type { ParamStateDict, StateDict } from '../../core/state-dict.js';
import type { Pair } from './two-loop.js';

/** A pair as it is stored: ρ follows from it. */
type Stored = Pick<Pair, 's' | 'y'>;

/** The pairs by param: those of each one after the other, the oldest first. */
export function savePairs(
  tensors: readonly Tensor[],
  iterations: number,
  pairs: readonly Stored[],
): StateDict['state'] {
  let offset = 0;
  const states = tensors.map(({ key, data }): [string | number, ParamStateDict] => {
    const length = lengthOf(data);
    const cut = (name: 's' | 'y'): Float32Array => {
      const all = new Float32Array(pairs.length * length);
      for (const [i, pair] of pairs.entries()) all.set(pair[name].subarray(offset, offset + length), i * length);
      return all;
    };
    const state = { step: iterations, oldDirs: cut('y'), oldStps: cut('s') };
    offset += length;
    return [key, state];
  });
  return Object.fromEntries(states);
}

/** What {@link savePairs} gave, put together again, in new arrays. @throws TypeError, RangeError */
export function loadPairs(
  who: string,
  tensors: readonly Tensor[],
  state: StateDict['state'],
  historySize: number,
): { readonly iterations: number; readonly pairs: readonly Stored[] } {
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
  // Params without elements say nothing of how many pairs there are.
  const telling = lengths.findIndex((length) => length > 0);
  const count = telling < 0 ? 0 : lengthOf(states[telling]!.s) / lengths[telling]!;
  if (!Number.isInteger(count) || count > historySize)
    throw rangeError(
      who,
      `${states[telling]!.path}.oldStps`,
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
        pair[name].set(states[i]![name].subarray(p * length, (p + 1) * length), offset);
      offset += length;
    }
    return pair;
  });
  return { iterations: states[0]?.step ?? 0, pairs };
}
