import { copyInto, floatsOf, isFloat32 } from '../check/typed-array.js';
import type { ReadGrad } from '../core/read-grad.js';
import { engine } from '../engine/backend.js';
import { addRows, type RowSums, rowSums } from './row-sums.js';

/** The sum of some gradients of one param; null if all of them are null. */
export type Sum = Float32Array | RowSums | null;

/**
 * Sums the gradients of one param. It keeps the sums of neighbouring runs of gradients, from left to right, and joins
 * the last two when it is told to. A run without a gradient is null, and adds nothing: not even +0 to −0.
 */
export class ParamSum {
  /** The sums of the runs. */
  sums: Sum[] = [];
  /** The memory of the dense sum of each run. */
  readonly #arrays: Float32Array[] = [];
  readonly #allocate: (run: number) => Float32Array;

  /** @param allocate Makes the memory of a run, from 0 on, when it is needed first. */
  constructor(allocate: (run: number) => Float32Array) {
    this.#allocate = allocate;
  }

  /** All memory so far. */
  get arrays(): readonly Float32Array[] {
    return this.#arrays.filter(() => true); // without holes
  }

  /** The memory of a run. */
  arrayOf(run: number): Float32Array {
    this.#arrays[run] ??= this.#allocate(run);
    return this.#arrays[run] as Float32Array;
  }

  /** Allocates what the next `add` needs. */
  reserve(grad: ReadGrad, weight: number, joins: number): void {
    if (isFloat32(grad) && !this.#addsAtOnce(grad, weight, joins)) this.arrayOf(this.sums.length);
  }

  /** Adds a run of one gradient, weight · grad, and then joins the last two runs, `joins` times. */
  add(grad: ReadGrad, weight: number, joins: number): void {
    let left = joins;
    if (this.#addsAtOnce(grad, weight, joins)) {
      engine().add(this.sums.at(-1) as Float32Array, floatsOf(grad as Float32Array));
      left--;
    } else {
      this.sums.push(this.#product(grad, weight));
    }
    for (; left > 0; left--) this.#join();
  }

  /** The sum of all runs, from the right. It does not change them. */
  total(): Sum {
    let total = this.sums.at(-1) ?? null;
    let isCopy = false;
    for (let run = this.sums.length - 2; run >= 0; run--) {
      const sum = this.sums[run] as Sum;
      if (sum === null) continue;
      if (total === null || !isFloat32(total) || !isFloat32(sum)) {
        total = total === null ? sum : addRows(sum as RowSums, total as RowSums);
        continue;
      }
      if (!isCopy) {
        const copy = this.arrayOf(this.sums.length);
        copyInto(copy, total);
        total = copy;
        isCopy = true;
      }
      engine().add(total, sum);
    }
    return total;
  }

  /** Whether the gradient needs no memory of its own, because it joins a run at once. */
  #addsAtOnce(grad: ReadGrad, weight: number, joins: number): boolean {
    return joins > 0 && weight === 1 && isFloat32(grad) && isFloat32(this.sums.at(-1));
  }

  #product(grad: ReadGrad, weight: number): Sum {
    if (grad === null) return null;
    if (!isFloat32(grad)) return rowSums(grad.rows, grad.values, weight);
    const product = this.arrayOf(this.sums.length);
    copyInto(product, grad);
    if (weight !== 1) engine().scale(product, weight);
    return product;
  }

  #join(): void {
    const right = this.sums.pop() as Sum;
    const run = this.sums.length - 1;
    const left = this.sums[run] as Sum;
    if (right === null) return;
    if (!isFloat32(right)) {
      this.sums[run] = left === null ? right : addRows(left as RowSums, right);
    } else if (left === null) {
      const moved = this.arrayOf(run);
      copyInto(moved, right);
      this.sums[run] = moved;
    } else {
      engine().add(left as Float32Array, right);
    }
  }
}
