import { rangeError, show, typeError } from '../check/errors.js';
import { checkOptions } from '../check/options.js';
import { checkLength, floatsOf, isFloat32, lengthOf } from '../check/typed-array.js';
import { tensorsOf } from '../core/collect.js';
import type { Tensor } from '../core/params.js';
import type { AnyParams, ArraysOf, GivenTree } from '../core/params-of.js';
import { Structure } from '../core/structure.js';
import { checkList, checkWeights } from './inputs.js';
import { weightedMean } from './mean.js';

const who = 'averageWeights';

/** Options of {@link averageWeights}. */
export interface AverageWeightsOptions {
  /** Weight of each model, each in [0, inf). They are divided by their sum. Default: equal weights. */
  readonly weights?: ArrayLike<number> | undefined;
}

/** New arrays in the structure of a model. */
export type AveragedWeights<P> = P extends readonly Float32Array[] ? Float32Array[] : ArraysOf<P>;

/**
 * Averages the weights of several models with the same architecture (a model soup).
 *
 * Formula: Σₖ aₖ·wₖ / Σₖ aₖ, array by array. The sum is float64, and the result is rounded once. A model of weight 0 is
 * ignored.
 *
 * @param models the params of each model: a list, or a record of any depth, with the same structure for all models.
 *   They do not change.
 * @param options `weights` (each [0, ∞), equal by default): {@link AverageWeightsOptions}
 * @returns new arrays, in the structure of a model
 * @throws TypeError for a wrong type, an unknown option, or a name that another model does not have; RangeError for no
 *   models, models that differ in the number or lengths of their arrays, or weights that are negative, not finite or
 *   all 0
 * @see Utans 1996, "Weight averaging for neural networks and local resampling schemes"; Wortsman et al. 2022,
 *   https://arxiv.org/abs/2203.05482
 * @example
 * ```ts
 * import { averageWeights } from 'schuss';
 *
 * const a = { weight: new Float32Array([1, 2]), bias: new Float32Array([3]) };
 * const b = { weight: new Float32Array([3, 6]), bias: new Float32Array([5]) };
 * averageWeights([a, b]).weight; // [2, 4]
 * averageWeights([a, b], { weights: [0.25, 0.75] }).bias; // [4.5]
 * ```
 */
export function averageWeights<const P extends object = AnyParams>(
  models: readonly GivenTree<P>[],
  options: AverageWeightsOptions = {},
): AveragedWeights<P> {
  checkOptions(who, options, ['weights'] satisfies (keyof AverageWeightsOptions)[]);
  checkList(who, 'models', models, 'list or record of Float32Arrays', 'lists or records of Float32Arrays');
  const checked = Array.from(models, (model, m) => {
    // A param alone is more likely a forgotten bracket than a model.
    if (isFloat32(model)) throw typeError(who, `models[${m}]`, show(model), 'a list or a record of Float32Arrays');
    return tensorsOf(who, `models[${m}]`, model);
  });
  const first = checked[0]!;
  const structure = new Structure(who, first);
  const arrays = checked.map((tensors, m) => inOrderOf(first, tensors, `models[${m}]`));
  const weights = checkWeights(who, (options as AverageWeightsOptions).weights, checked.length, 'model');
  const means = first.map(({ data }, i) =>
    weightedMean(
      arrays.map((model) => floatsOf(model[i]!)),
      weights,
      new Float32Array(lengthOf(data)),
    ),
  );
  const isPlainList = first.every(({ key }) => typeof key === 'number');
  return (isPlainList ? means : structure.assemble(means)) as AveragedWeights<P>;
}

/**
 * The arrays of a model in the order of the first one. @throws TypeError for another name, RangeError for another
 * length
 */
function inOrderOf(first: readonly Tensor[], model: readonly Tensor[], path: string): readonly Float32Array[] {
  if (model.length !== first.length)
    throw rangeError(who, path, `${model.length} array(s)`, `${first.length}, as models[0] has`);
  const byKey = new Map(model.map((tensor) => [tensor.key, tensor]));
  return first.map(({ key, data }) => {
    const other = byKey.get(key);
    if (other === undefined) throw typeError(who, path, `no ${JSON.stringify(key)}`, 'the names of models[0]');
    checkLength(who, other.path, other.data, lengthOf(data));
    return other.data;
  });
}
