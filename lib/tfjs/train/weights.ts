import { rangeError, typeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import type { States } from '../wrap/states.js';
import type { NamedTensor, Restored } from '../wrap/weights.js';

function beforeSlash(name: string): string {
  return name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : name;
}

function afterSlash(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/**
 * Reads weights in the order of `tf.train`: `iter`, then for each state array that of each variable. State arrays are
 * recognized by the endings of their names (`suffixes`, by state array), or all by position if one ending is unknown.
 *
 * @throws TypeError, RangeError for a list that does not fit
 */
export async function readTrainWeights(
  who: string,
  weights: readonly NamedTensor[],
  suffixes: Readonly<Record<string, string>>,
): Promise<Restored> {
  const [count, ...arrays] = weights;
  if (count === undefined) throw typeError(who, 'weights', 'an empty list', '"iter" first');
  if (count.tensor.size !== 1)
    throw rangeError(who, 'weights[0]', `shape [${count.tensor.shape}]`, '"iter", which is one number');
  const stepCount = checkInteger(who, 'iter', (await count.tensor.data())[0], '[0, inf)');
  const fields = Object.entries(suffixes);
  if (fields.length === 0 && arrays.length > 0)
    throw typeError(who, 'weights', `${arrays.length} beside "iter"`, 'none: it has no state');

  const byName = arrays.every(({ name }) => fields.some(([, suffix]) => afterSlash(name) === suffix));
  const perField = arrays.length / fields.length;
  const states = new Map<string, Record<string, number | Float32Array>>();
  for (const [f, [field, suffix]] of fields.entries()) {
    const ofField = byName
      ? arrays.filter(({ name }) => afterSlash(name) === suffix)
      : arrays.slice(perField * f, perField * (f + 1));
    for (const [i, { name, tensor }] of ofField.entries()) {
      if (tensor.dtype !== 'float32')
        throw typeError(who, `weights[${JSON.stringify(name)}]`, `a tensor of ${tensor.dtype}`, 'one of float32');
      // By position, only the names of the first state array need to contain the variable.
      const variable = beforeSlash(byName ? name : (arrays[i] as NamedTensor).name);
      if (!states.has(variable)) states.set(variable, { step: stepCount });
      (states.get(variable) as Record<string, unknown>)[field] = Float32Array.from(await tensor.data());
    }
  }
  return { stepCount, states: states as States };
}
