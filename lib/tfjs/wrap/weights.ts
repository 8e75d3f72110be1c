import { dispose, type Optimizer as TfOptimizer, tensor, tidy, util, type Variable } from '@tensorflow/tfjs-core';
import { typeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import type { States } from './states.js';

/** A tensor of an optimizer's state, as `getWeights` returns it. */
export type NamedTensor = Awaited<ReturnType<TfOptimizer['getWeights']>>[number];

/** Step count and state arrays, read from weights. */
export interface Restored {
  readonly stepCount: number;
  readonly states: States;
}

/**
 * The tensors that `getWeights` returns. They are kept and assigned again, because `model.save` never disposes of them.
 */
export class Weights {
  readonly #variables = new Map<string, Variable>();

  /** The weight `name` with new values. */
  set(name: string, values: Float32Array | Int32Array, shape: number[]): NamedTensor {
    const known = this.#variables.get(name);
    tidy(() => {
      const value = tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32');
      if (known !== undefined && !known.isDisposed && util.arraysEqual(known.shape, shape)) known.assign(value);
      else {
        known?.dispose();
        this.#variables.set(name, value.variable(false));
      }
    });
    return { name, tensor: this.#variables.get(name) as Variable };
  }

  dispose(): void {
    dispose([...this.#variables.values()]);
    this.#variables.clear();
  }
}

/** A number of the state as the two int32 halves of its float64: tensors have no float64. */
export function int32Halves(value: number): Int32Array {
  return new Int32Array(Float64Array.of(value).buffer);
}

/** Names of state in `tf.train` that no class of schuss has. */
const trainStates = new Set(['m', 'v', 'accumulator', 'accum_grad', 'accum_var', 'rms', 'mg']);

/**
 * Reads the weights `iter` and `<variable>/<state>`.
 *
 * @throws TypeError for another name, RangeError for a count that is negative
 */
export async function readWeights(who: string, weights: readonly NamedTensor[]): Promise<Restored> {
  const states = new Map<string, Record<string, number | Float32Array>>();
  let stepCount = 0;
  for (const { name, tensor } of weights) {
    const values = await tensor.data();
    const slash = name.lastIndexOf('/');
    if (name === 'iter') {
      stepCount = checkInteger(who, 'iter', values[0], '[0, inf)');
      continue;
    }
    if (slash < 1) throw typeError(who, 'setWeights', JSON.stringify(name), '"iter" or "<variable>/<state>"');
    const variable = name.slice(0, slash);
    if (trainStates.has(name.slice(slash + 1)))
      throw typeError(
        who,
        'setWeights',
        JSON.stringify(name),
        `state of ${who}`,
        'state of tf.train goes into adam() and the like of schuss/tfjs, not wrap()',
      );
    if (!states.has(variable)) states.set(variable, {});
    const value =
      tensor.dtype === 'int32'
        ? Float64Array.from(new Float64Array(Int32Array.from(values).buffer))[0]
        : Float32Array.from(values);
    (states.get(variable) as Record<string, unknown>)[name.slice(slash + 1)] = value;
  }
  return { stepCount, states: states as States };
}
