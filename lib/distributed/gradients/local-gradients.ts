import { rangeError } from '../../check/errors.js';
import {
  checkFloat32,
  checkLength,
  firstBadRow,
  floatsOf,
  isDetached,
  isFloat32,
  lengthOf,
} from '../../check/typed-array.js';
import { checkApart, type Extent, extentOf, union } from '../../core/extents.js';
import { isSparseGrad, type Tensor } from '../../core/params.js';
import { type ReadGrad, ReadSparseGrad } from '../../core/read-grad.js';
import { badRow, checkSparseGrad } from '../../core/sparse-grad.js';
import { checkNotInFlight } from '../../core/step-queue.js';
import type { Structure } from '../../core/structure.js';
import { engine } from '../../engine/backend.js';
import { GradSum } from '../../training/grad-sum.js';
import { GradientBuckets } from './gradient-buckets.js';

/** A param, and its length. */
export type WholeParam = Tensor & { readonly length: number };

/**
 * The gradients of one rank until a step, or estimates of the same form: the sum of its micro-batches, and the memory that
 * travels.
 */
export class LocalGradients {
  readonly sum: GradSum;
  readonly buckets: GradientBuckets;
  readonly paths: readonly string[];
  readonly #who: string;
  readonly #structure: Structure;
  readonly #params: readonly WholeParam[];
  readonly #isDense: boolean;

  /** @param isDense Whether sparse ones are refused. */
  constructor(who: string, structure: Structure, params: readonly WholeParam[], bucketBytes: number, isDense = false) {
    this.#who = who;
    this.#structure = structure;
    this.#params = params;
    this.#isDense = isDense;
    this.paths = params.map((param) => structure.gradPath(param));
    const lengths = params.map(({ length }) => length);
    this.buckets = new GradientBuckets(lengths, bucketBytes);
    const { allocate } = engine();
    // The first run becomes the sum of all, so it lies where it travels.
    this.sum = new GradSum('tree', params.length, (param, run) =>
      run === 0 ? this.buckets.of(param) : allocate(lengths[param]!),
    );
  }

  /**
   * Reads and checks the gradients of a micro-batch, for `sum.add`, which takes a copy.
   * @param isZeroed Whether they are zeroed then: they may not overlap a param.
   * @throws TypeError, RangeError
   */
  read(grads: unknown, isZeroed = false): ReadGrad[] {
    const given: unknown[] = [];
    this.#structure.read(grads, given);
    const read = this.#params.map((_, i) => this.#read(i, given[i]));
    checkNotInFlight(this.#who, () => read.flatMap((grad, i) => this.#extentsOf(i, grad)));
    if (isZeroed) {
      const params = union(this.#params.map(({ data, path }) => extentOf(engine(), data, path)));
      for (const [i, grad] of read.entries())
        for (const extent of this.#extentsOf(i, grad)) checkApart(this.#who, extent, params);
    }
    return read;
  }

  #extentsOf(index: number, grad: ReadGrad): Extent[] {
    if (grad === null) return [];
    return [extentOf(engine(), isFloat32(grad) ? grad : grad.values, this.paths[index]!)];
  }

  #read(index: number, given: unknown): ReadGrad {
    if (given === null) return null;
    const param = this.#params[index]!;
    const path = this.paths[index]!;
    const sums = this.sum.params[index]!.sums;
    if (!this.#isDense && !isFloat32(given) && isSparseGrad(given)) {
      const grad = new ReadSparseGrad(given.rows, given.values);
      checkSparseGrad(this.#who, path, param, grad);
      const limit = param.length / (lengthOf(grad.values) / lengthOf(grad.rows));
      const bad = firstBadRow(grad.rows, limit);
      if (bad >= 0) throw badRow(this.#who, path, grad.rows, bad, limit);
      if (sums.some(isFloat32)) throw rangeError(this.#who, path, 'a sparse gradient', 'a dense one, as before');
      const columns = lengthOf(grad.values) / lengthOf(grad.rows); // NaN without rows
      for (const sum of sums) {
        const before = sum === null || isFloat32(sum) ? Number.NaN : sum.values.length / sum.rows.length;
        if (before !== columns && !Number.isNaN(before) && !Number.isNaN(columns))
          throw rangeError(this.#who, `${path}.values`, `rows of ${columns}`, `${before}, as before`);
      }
      return grad;
    }
    const expected = this.#isDense ? 'a Float32Array or null' : 'a Float32Array, { rows, values } or null';
    checkFloat32(this.#who, path, given, expected);
    checkLength(
      this.#who,
      path,
      given as Float32Array,
      param.length,
      typeof param.key === 'string' ? param.key : undefined,
    );
    if (sums.some((sum) => sum !== null && !isFloat32(sum)))
      throw rangeError(this.#who, path, 'a dense gradient', 'a sparse one, as before');
    return given as Float32Array;
  }
}

/** Zeroes gradients that were read. One that was detached since has nothing to zero. */
export function zero(grads: readonly ReadGrad[]): void {
  for (const grad of grads) {
    const array = grad === null || isFloat32(grad) ? grad : grad.values;
    if (array !== null && !isDetached(array)) floatsOf(array).fill(0);
  }
}
