import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, isFloat32 } from '../check/typed-array.js';
import { type Grad, isSparseGrad, type Tensor } from '../core/params.js';
import { checkSparseGrad } from '../core/sparse-grad.js';
import { engine } from '../engine/backend.js';
import { copyFloats } from '../engine/memory.js';
import type { GradSum } from './grad-sum.js';
import type { Sum } from './param-sum.js';
import { type RowSums, rowSums } from './row-sums.js';

/** Everything that a resumed run needs of a `GradAccumulator`: plain data that survives `structuredClone`. */
export interface GradAccumulatorState {
  readonly version: 1;
  /** Number of calls of `add` since the last `reset`. */
  readonly count: number;
  /** Absent with `order: 'sequential'`. */
  readonly order?: 'tree';
  /** The sums of the weights, as many as the lists of `sums` have. Absent if every weight was 1. */
  readonly weights?: readonly number[];
  /** The sum of each param, by its name or index; with `order: 'tree'` the list of sums that are not yet joined. */
  readonly sums: { readonly [param: string]: Grad | readonly Grad[] };
}

/** A param whose gradients are summed. */
export interface Summed {
  readonly tensor: Tensor;
  readonly path: string;
  readonly length: number;
}

function copyOf(sum: Sum): Sum {
  if (sum === null) return null;
  return isFloat32(sum) ? copyFloats(engine(), sum) : { rows: sum.rows.slice(), values: sum.values.slice() };
}

/** Copies of the sums, as plain data. */
export function saveGradSum(params: readonly Summed[], sum: GradSum): GradAccumulatorState {
  const { order, count, weights } = sum;
  const isTree = order === 'tree';
  const entries = params.map(({ tensor }, i) => {
    const copies = sum.params[i]!.sums.map(copyOf);
    return [tensor.key, isTree ? copies : (copies[0] ?? null)];
  });
  const isPlain = sum.weight === count && weights.every((weight) => Number.isInteger(weight));
  return {
    version: 1,
    count,
    ...(isTree ? { order } : {}),
    ...(isTree || !isPlain ? { weights: [...weights] } : {}),
    sums: Object.fromEntries(entries),
  };
}

/**
 * Checks a saved state.
 * @returns A function that loads it.
 * @throws TypeError, RangeError
 */
export function loadGradSum(where: string, params: readonly Summed[], sum: GradSum, dict: unknown): () => void {
  const isTree = sum.order === 'tree';
  checkOptions(where, dict, ['version', 'count', 'order', 'weights', 'sums'] satisfies (keyof GradAccumulatorState)[]);
  const { version, count, order = 'sequential', weights, sums } = dict;
  if (version !== 1) throw rangeError(where, 'version', show(version), '1');
  const loadedCount = checkInteger(where, 'count', count, isTree ? '[0, 2147483647]' : '[0, inf)');
  checkOneOf(where, 'order', order, [sum.order]);
  const runs = isTree ? ones(loadedCount) : Math.min(1, loadedCount);
  const loadedWeights =
    weights === undefined && !isTree ? [loadedCount].slice(0, runs) : checkList(where, 'weights', weights, runs);
  for (const [i, weight] of loadedWeights.entries()) checkNumber(where, `weights[${i}]`, weight, '[0, inf)');
  checkOptions(
    `${where}: sums`,
    sums,
    params.map(({ tensor: { key } }) => String(key)),
  );
  const loaded = params.map((param) => {
    const { key } = param.tensor;
    const path = `sums[${JSON.stringify(key)}]`;
    if (!isTree) return [loadSum(where, path, param, sums[key], false)].slice(0, runs);
    return checkList(where, path, sums[key], runs).map((each, i) => loadSum(where, `${path}[${i}]`, param, each, true));
  });
  return () => {
    // All memory first: an allocation may fail.
    for (const [p, list] of loaded.entries())
      for (const [run, each] of list.entries()) if (isFloat32(each)) sum.params[p]!.arrayOf(run);
    sum.set(
      loadedCount,
      loadedWeights as number[],
      loaded.map((list, p) =>
        list.map((each, run) => {
          if (!isFloat32(each)) return each;
          const array = sum.params[p]!.arrayOf(run);
          array.set(each);
          return array;
        }),
      ),
    );
  };
}

/** The number of ones among the bits of an integer: a tree has a run for each. */
function ones(count: number): number {
  let result = 0;
  for (let left = count; left > 0; left = Math.floor(left / 2)) result += left % 2;
  return result;
}

function checkList(where: string, path: string, list: unknown, length: number): readonly unknown[] {
  if (!Array.isArray(list)) throw typeError(where, path, show(list), `a list of ${length}`);
  if (list.length !== length) throw rangeError(where, path, `${list.length} entries`, `${length}, as count says`);
  return Array.from(list);
}

/** A copy of one saved sum: a getter that is read later may detach it. */
function loadSum(where: string, path: string, param: Summed, given: unknown, takesRows: boolean): Sum {
  if (given === null) return null;
  if (takesRows && !isFloat32(given) && isSparseGrad(given)) {
    const { rows, values } = given as RowSums;
    checkSparseGrad(where, path, { ...param.tensor, length: param.length }, { rows, values });
    return rowSums(rows, values, 1);
  }
  const sum = checkFloat32(
    where,
    path,
    given,
    takesRows ? 'a Float32Array, { rows, values } or null' : 'a Float32Array or null',
  );
  checkLength(where, path, sum, param.length);
  return copyFloats(engine(), sum);
}
