import { rangeError, typeError } from '../check/errors.js';
import { refuseFixed } from '../check/members.js';
import { checkFloat, checkOneOf, checkOptions } from '../check/options.js';
import { checkLength, firstBadRow, isFloat32, lengthOf } from '../check/typed-array.js';
import { collect } from '../core/collect.js';
import { type Extent, extentOf } from '../core/extents.js';
import { type Grads, isSparseGrad, type SparseGrad } from '../core/params.js';
import type { AnyParams, GivenAny, GradsOf, IsOpen, TreeOf } from '../core/params-of.js';
import { inspect, print, printedParams } from '../core/print.js';
import { type ReadGrad, ReadSparseGrad } from '../core/read-grad.js';
import { badRow, checkSparseGrad } from '../core/sparse-grad.js';
import { checkNotInFlight } from '../core/step-queue.js';
import { Structure } from '../core/structure.js';
import { engine } from '../engine/backend.js';
import { GradSum, type SumOrder } from './grad-sum.js';
import { type GradAccumulatorState, loadGradSum, type Summed, saveGradSum } from './grad-sum-state.js';
import { checkGrad } from './grads.js';

export type { GradAccumulatorState };

const who = 'GradAccumulator';

/** Options of {@link GradAccumulator}. */
export interface GradAccumulatorOptions<Order extends 'sequential' | 'tree' = 'sequential' | 'tree'> {
  /**
   * The order of the additions. `'sequential'` is the order of the calls. `'tree'` is the order of `DataParallel` in
   * `schuss/distributed`: sum i += sum i+d for d = 1, 2, 4, … and every i that is a multiple of 2d. Default
   * `'sequential'`.
   */
  readonly order?: Order | undefined;
}

/** Options of {@link GradAccumulator.add}. */
export interface AddOptions {
  /**
   * Factor of the gradients, in float32. If they are means over examples, pass the number of examples. [0, inf),
   * default 1. Gradients with weight 0 add nothing, even if they are NaN.
   */
  readonly weight?: number | undefined;
}

/** The sums, in the structure of the params; null for a param without a gradient. */
type SumsOf<P, Order extends SumOrder> =
  IsOpen<P> extends true ? Grads : TreeOf<P, Float32Array | null | (Order extends 'tree' ? SparseGrad : never)>;

/**
 * Gradient accumulation: sums the gradients of several small batches, so that one step has the effect of a large batch.
 *
 * Formula: Σ weight·g over the calls of `add` since the last `reset`, in float32. For the mean over the batches, pass
 * `gradScale: 1 / weight` to the step; that costs no extra pass over the gradients.
 *
 * A `null` gradient adds nothing. A param with only `null` gradients is also `null` in `grads`, so the step leaves it
 * and its state unchanged. The sums are arrays of the accumulator; the given gradients do not change.
 *
 * With `order: 'tree'`, a step gives the same bits as `DataParallel` with the same number of micro-batches, on any
 * number of ranks. Gradients can then be sparse. The values of a repeated row are summed first, in the given order;
 * then each row is summed in the order of the tree. The tree keeps up to log₂(count) + 1 arrays per param instead of
 * one.
 *
 * @param params the params of the optimizer, in any form that its constructor takes, or its `paramGroups`. Only their
 *   names and lengths are used.
 * @param options `order` ('sequential'): {@link GradAccumulatorOptions}
 * @throws TypeError for anything that is not a param, if only some params have names, or for an unknown option;
 *   RangeError for no params, for a name used twice, or for an unknown order
 * @example
 * ```ts
 * import { Adam, GradAccumulator } from 'schuss';
 *
 * const params = { weight: new Float32Array(2), bias: new Float32Array(1) };
 * const adam = new Adam(params);
 * const sum = new GradAccumulator(params);
 * for (const x of [1, 2, 3, 4]) sum.add({ weight: new Float32Array([x, -x]), bias: new Float32Array([x]) });
 * sum.count; // 4
 * adam.step(sum.grads, { gradScale: 1 / sum.weight });
 * params.weight[1]; // 0.001
 * sum.reset();
 * ```
 */
export class GradAccumulator<const P extends object = AnyParams, Order extends 'sequential' | 'tree' = 'sequential'> {
  readonly #structure: Structure;
  readonly #params: readonly Summed[];
  readonly #sum: GradSum;

  constructor(params: GivenAny<P>, options: GradAccumulatorOptions<Order> = {}) {
    const tensors = collect(who, params).flatMap((group) => group.tensors);
    checkOptions(who, options, ['order']);
    refuseFixed(GradAccumulator, who, ['order']);
    const { order = 'sequential' } = options as GradAccumulatorOptions;
    checkOneOf<SumOrder>(who, 'order', order, ['sequential', 'tree']);
    this.#structure = new Structure(who, tensors);
    this.#params = tensors.map((tensor) => {
      return { tensor, path: this.#structure.gradPath(tensor), length: lengthOf(tensor.data) };
    });
    const { allocate } = engine();
    this.#sum = new GradSum(order, tensors.length, (param) => allocate(this.#params[param]!.length));
    if (order === 'sequential') for (const param of this.#sum.params) param.arrayOf(0);
  }

  /**
   * Adds the gradients of one batch.
   *
   * @param grads one gradient for each param, in the structure of the params. They do not change. `null` adds nothing.
   * @param options `weight` (1, [0, ∞)): {@link AddOptions}
   * @throws TypeError for another structure, a wrong type, a sparse gradient with `order: 'sequential'`, a detached
   *   buffer or memory of a pending step; RangeError for another length or count, a row number or weight out of range,
   *   or sparse and dense gradients of one param. Nothing is added then.
   */
  add(grads: GradsOf<P>, options: AddOptions = {}): void {
    checkOptions(who, options, ['weight']);
    const { weight = 1 } = options as AddOptions;
    checkFloat(who, 'weight', weight, '[0, inf)');
    this.#checkWhole();
    const given: unknown[] = [];
    this.#structure.read(grads, given);
    const read = this.#params.map((_, i) => this.#read(i, given[i]));
    checkNotInFlight(who, () => [
      ...this.#extents(),
      ...read.flatMap((grad, i) => {
        const array = grad === null || isFloat32(grad) ? grad : grad.values;
        return array === null ? [] : [extentOf(engine(), array, this.#params[i]!.path)];
      }),
    ]);
    this.#sum.add(read, weight);
  }

  /**
   * The sums, in the structure that `step` takes. The arrays belong to the accumulator. With `order: 'sequential'`,
   * they are always the same arrays. `clipGradNorm` may scale them in place. Read this property after the last `add`,
   * because `add` can turn a `null` into an array.
   */
  get grads(): SumsOf<P, Order> {
    this.#checkWhole();
    return this.#structure.assemble(this.#sum.totals as Float32Array[]) as SumsOf<P, Order>;
  }

  /** Number of calls of `add` since the last `reset`. */
  get count(): number {
    return this.#sum.count;
  }

  /** The sum of the weights since the last `reset`, in float64. */
  get weight(): number {
    return this.#sum.weight;
  }

  /** Starts a new sum. The arrays keep their contents until the next `add`. */
  reset(): void {
    this.#sum.reset();
  }

  /** Returns a copy of the sums and the count. @throws TypeError if vm's timeout interrupted an `add`, until `reset` */
  stateDict(): GradAccumulatorState {
    this.#checkWhole();
    for (let i = 0; i < this.#params.length; i++) this.#checkMemory(i);
    return saveGradSum(this.#params, this.#sum);
  }

  /**
   * Loads a state that {@link stateDict} returned. The sums are copied.
   *
   * @throws TypeError for a wrong type or other names; RangeError for another version, order or length, or a count that
   *   is negative. Nothing has changed then.
   */
  loadStateDict(dict: GradAccumulatorState): void {
    const load = loadGradSum(`${who}.loadStateDict`, this.#params, this.#sum, dict);
    for (let i = 0; i < this.#params.length; i++) this.#checkMemory(i);
    checkNotInFlight(who, () => this.#extents());
    load();
  }

  /** The class, the count, and the params by name and shape. */
  toString(): string {
    const order = this.#sum.order === 'tree' ? 'tree' : undefined;
    return print(who, { count: this.count, order, ...printedParams(this.#params.map(({ tensor }) => tensor)) });
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    return this.toString();
  }

  /** Checks one gradient and the memory of its sum. */
  #read(index: number, given: unknown): ReadGrad {
    const { tensor, path, length } = this.#params[index]!;
    this.#checkMemory(index);
    if (this.#sum.order === 'tree' && given !== null && !isFloat32(given) && isSparseGrad(given))
      return this.#readSparse(index, new ReadSparseGrad(given.rows, given.values));
    const grad = checkGrad(who, path, given);
    if (grad === null) return null;
    checkLength(who, path, grad, length, typeof tensor.key === 'string' ? tensor.key : undefined);
    if (this.#sum.params[index]!.sums.some((sum) => sum !== null && !isFloat32(sum)))
      throw rangeError(who, path, 'a dense gradient', 'a sparse one, as before');
    return grad;
  }

  #readSparse(index: number, grad: ReadSparseGrad): ReadSparseGrad {
    const { tensor, path, length } = this.#params[index]!;
    checkSparseGrad(who, path, { ...tensor, length }, grad);
    const columns = lengthOf(grad.values) / lengthOf(grad.rows);
    const bad = firstBadRow(grad.rows, length / columns);
    if (bad >= 0) throw badRow(who, path, grad.rows, bad, length / columns);
    for (const sum of this.#sum.params[index]!.sums) {
      if (isFloat32(sum)) throw rangeError(who, path, 'a sparse gradient', 'a dense one, as before');
      const before = sum === null ? Number.NaN : sum.values.length / sum.rows.length;
      if (before !== columns && !Number.isNaN(before) && !Number.isNaN(columns))
        throw rangeError(who, `${path}.values`, `rows of ${columns}`, `${before}, as before`);
    }
    return grad;
  }

  #checkWhole(): void {
    if (!this.#sum.isWhole)
      throw typeError(who, 'this', "sums whose last change vm's timeout interrupted", 'a call of reset() first');
  }

  #checkMemory(index: number): void {
    const { path, length } = this.#params[index]!;
    for (const array of this.#sum.params[index]!.arrays) checkLength(who, `the sum of ${path}`, array, length);
  }

  #extents(): Extent[] {
    return this.#sum.params.flatMap(({ arrays }, i) =>
      arrays.map((array) => extentOf(engine(), array, `the sum of ${this.#params[i]!.path}`)),
    );
  }
}
