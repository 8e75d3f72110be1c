import { rangeError } from '../check/errors.js';
import { checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, floatsOf, lengthOf } from '../check/typed-array.js';
import { checkList, checkWeights } from './inputs.js';
import { weightedMean } from './mean.js';

/** Options of {@link averageWeights}. */
export interface AverageWeightsOptions {
  /** Weight of each model, each in [0, inf). They are divided by their sum. Default: equal weights. */
  readonly weights?: ArrayLike<number> | undefined;
}

/**
 * Averages the weights of several models of one architecture: a model soup.
 *
 * Formula: Σₖ aₖ·wₖ / Σₖ aₖ, array by array. The sum is float64, and the result is rounded once. A model of weight 0 is
 * ignored.
 *
 * @param models the arrays of each model, in the same order for all models. They do not change.
 * @param options `weights` (each [0, ∞), equal by default): {@link AverageWeightsOptions}
 * @returns new arrays, in the order of the arrays of each model
 * @throws TypeError for a wrong type or an unknown option; RangeError for no models, models that differ in the number
 *   or lengths of their arrays, or weights that are negative, not finite or all 0
 * @see Utans 1996, "Weight averaging for neural networks and local resampling schemes"; Wortsman et al. 2022,
 *   https://arxiv.org/abs/2203.05482
 * @example
 * ```ts
 * import { averageWeights } from 'schuss';
 *
 * const a = [new Float32Array([1, 2]), new Float32Array([3])];
 * const b = [new Float32Array([3, 6]), new Float32Array([5])];
 * averageWeights([a, b]); // [[2, 4], [4]]
 * averageWeights([a, b], { weights: [0.25, 0.75] }); // [[2.5, 5], [4.5]]
 * ```
 */
export function averageWeights(
  models: readonly (readonly Float32Array[])[],
  options: AverageWeightsOptions = {},
): Float32Array[] {
  const who = 'averageWeights';
  checkOptions(who, options, ['weights'] satisfies (keyof AverageWeightsOptions)[]);
  checkList(who, 'models', models, 'list of Float32Arrays', 'lists of Float32Arrays');
  const checked = Array.from(models, (model, m) =>
    Array.from(checkList(who, `models[${m}]`, model, 'Float32Array'), (array, i) =>
      checkFloat32(who, `models[${m}][${i}]`, array),
    ),
  );
  const first = checked[0]!;
  checked.forEach((model, m) => {
    if (model.length !== first.length)
      throw rangeError(who, `models[${m}]`, `${model.length} array(s)`, `${first.length}, as models[0] has`);
    for (const [i, array] of model.entries()) checkLength(who, `models[${m}][${i}]`, array, lengthOf(first[i]!));
  });
  const weights = checkWeights(who, (options as AverageWeightsOptions).weights, checked.length, 'model');
  return first.map((array, i) =>
    weightedMean(
      checked.map((model) => floatsOf(model[i]!)),
      weights,
      new Float32Array(lengthOf(array)),
    ),
  );
}
