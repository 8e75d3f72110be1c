import { checkLength, lengthOf } from '../check/typed-array.js';
import {
  assemble,
  collect,
  type Grads,
  gradPath,
  type Params,
  readGrads,
  type Structure,
  structureOf,
  type Tensor,
} from '../core/params.js';
import { engine } from '../engine/backend.js';
import { checkGrad } from './grads.js';

const who = 'GradAccumulator';

/** The running sum of one param's gradients. */
interface Sum {
  readonly tensor: Tensor;
  readonly path: string;
  readonly length: number;
  readonly array: Float32Array;
  /** Whether a gradient has come since the last reset: the first one is copied over what is left from before. */
  begun: boolean;
}

/**
 * Sums the gradients of several small batches, for one step as of a large one.
 *
 * Formula: Σ g over the calls of `add` since the last `reset`, in float32, in arrays of its own. The mean over batches
 * is the step's `gradScale: 1 / count`, which costs no pass of its own.
 *
 * A `null` gradient adds nothing. A param that got none but `null` is `null` in `grads` too, so that the step leaves it
 * and its state as they are; one that got some has the sum of those.
 *
 * @param params the optimizer's, in any form, its `paramGroups` too; only names and lengths are used
 * @throws TypeError for what is no param, or if only some are named; RangeError for none at all or a name used twice
 * @example
 * ```ts
 * import { Adam, GradAccumulator } from 'schuss';
 *
 * const params = { weight: new Float32Array(2), bias: new Float32Array(1) };
 * const adam = new Adam(params);
 * const sum = new GradAccumulator(params);
 * for (const x of [1, 2, 3, 4]) sum.add({ weight: new Float32Array([x, -x]), bias: new Float32Array([x]) });
 * sum.count; // 4
 * adam.step(sum.grads, { gradScale: 1 / sum.count });
 * params.weight[1]; // 0.001
 * sum.reset();
 * ```
 */
export class GradAccumulator {
  readonly #tensors: readonly Tensor[];
  readonly #structure: Structure;
  readonly #sums: readonly Sum[];
  #count = 0;

  constructor(params: Params<Readonly<Record<string, unknown>>>) {
    this.#tensors = collect(who, params).flatMap(({ tensors }) => tensors);
    this.#structure = structureOf(who, this.#tensors);
    const { allocate } = engine();
    this.#sums = this.#tensors.map((tensor) => {
      const length = lengthOf(tensor.data);
      return { tensor, path: gradPath(this.#structure, tensor), length, array: allocate(length), begun: false };
    });
  }

  /**
   * Adds the gradients of one batch.
   *
   * @param grads one a param, in the structure of the params; `null` adds nothing; they are read only
   * @throws TypeError for another structure or type or a detached buffer, RangeError for another length or count;
   *   nothing has been added then
   */
  add(grads: Grads): void {
    const given: unknown[] = [];
    readGrads(who, this.#structure, this.#tensors, grads, given);
    const arrays = this.#sums.map(({ tensor: { key }, path, length, array }, i) => {
      checkLength(who, `the sum of ${path}`, array, length);
      const grad = checkGrad(who, path, given[i]);
      if (grad !== null) checkLength(who, path, grad, length, typeof key === 'string' ? key : undefined);
      return grad;
    });
    for (const [i, sum] of this.#sums.entries()) {
      const grad = arrays[i];
      if (grad === null || grad === undefined) continue;
      if (sum.begun) engine().add(sum.array, grad);
      else sum.array.set(grad);
      sum.begun = true;
    }
    this.#count++;
  }

  /**
   * The sums, in the structure in which gradients are given: what `step` takes. The arrays are live and stay the same:
   * `clipGradNorm` may scale them in place. Read it after the last `add`: which params are `null` is fixed then.
   */
  get grads(): Grads {
    const values = this.#sums.map(({ array, begun }) => (begun ? array : null));
    return assemble(this.#structure, this.#tensors, values as Float32Array[]);
  }

  /** How often `add` was called since the last `reset`. */
  get count(): number {
    return this.#count;
  }

  /** Begins a new sum. The arrays keep what they hold until the next `add`. */
  reset(): void {
    for (const sum of this.#sums) sum.begun = false;
    this.#count = 0;
  }
}
