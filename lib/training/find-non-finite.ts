import type { Grads } from '../core/params.js';
import { engine } from '../engine/backend.js';
import { gradArraysOf } from './grads.js';

/** A number that is NaN or infinite, and its position. */
export interface NonFinite {
  /**
   * Name of the gradient: its path, such as `fc.bias` or `layers.0.weight`; its index in a list, such as `1`; `0` for a
   * gradient that stands alone.
   */
  readonly name: string;
  /** Index in the gradient's array; in a sparse gradient, in its `values`. */
  readonly index: number;
  readonly value: number;
}

/**
 * Finds the first NaN or infinity in gradients. Call it when a step returns `applied: false`, to see which param is the
 * cause.
 *
 * Finite gradients cost one native pass over memory.
 *
 * @param grads one gradient, a list or a record of them, to any depth, sparse ones included. They do not change; `null`
 *   is skipped.
 * @returns the first in the order of the gradients and of their elements, or undefined if all are finite
 * @throws TypeError for a wrong type, a detached buffer or memory of a pending step
 * @example
 * ```ts
 * import { findNonFinite } from 'schuss';
 *
 * const grads = { weight: new Float32Array([1, 2]), bias: new Float32Array([3, NaN, Infinity]) };
 * findNonFinite(grads)?.name; // 'bias'
 * findNonFinite(grads)?.index; // 1
 * ```
 */
export function findNonFinite(grads: Grads): NonFinite | undefined {
  const { sumSquares } = engine();
  for (const { name, array } of gradArraysOf('findNonFinite', grads, { sparse: true })) {
    // Squares of floats do not overflow a double, so the sum is finite if and only if every element is.
    if (Number.isFinite(sumSquares(array))) continue;
    const index = array.findIndex((value) => !Number.isFinite(value));
    if (index >= 0) return { name, index, value: array[index]! };
  }
  return undefined;
}
