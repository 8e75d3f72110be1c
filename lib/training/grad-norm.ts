import { checkNumber, checkOptions } from '../check/options.js';
import { lengthOf } from '../check/typed-array.js';
import type { Grads } from '../core/params.js';
import { engine } from '../engine/backend.js';
import { arraysOf } from './grads.js';

/** Options of {@link gradNorm}. */
export interface GradNormOptions {
  /** Order of the norm. 2 is the Euclidean norm, Infinity the largest |g|. (0, inf], default 2. */
  readonly p?: number | undefined;
}

/**
 * Returns the norm of all gradients together.
 *
 * Formula: ‖g‖ₚ = (Σ|g|ᵖ)^(1/p), in float64. With p = 2, the result is bit-identical to `gradNorm` in the result of a
 * step.
 *
 * An array that is the gradient of two params counts twice, as in a step.
 *
 * @param grads one gradient, a list or a record of them, to any depth. They do not change; `null` is skipped.
 * @param options `p` (2, (0, ∞]): {@link GradNormOptions}
 * @returns the norm; 0 if there is no gradient, NaN if an element is NaN
 * @throws TypeError for a wrong type, an unknown option, a sparse gradient, a detached buffer or memory of a pending
 *   step; RangeError for a value out of range
 * @see PyTorch's get_total_norm
 * @example
 * ```ts
 * import { gradNorm } from 'schuss';
 *
 * const grads = { weight: new Float32Array([3, 0]), bias: new Float32Array([-4]) };
 * gradNorm(grads); // 5
 * gradNorm(grads, { p: Infinity }); // 4
 * ```
 */
export function gradNorm(grads: Grads, options: GradNormOptions = {}): number {
  const who = 'gradNorm';
  const p = checkOrder(who, options);
  return normOf(arraysOf(who, grads), p);
}

/** The option `p`. @throws TypeError, RangeError */
export function checkOrder(who: string, options: GradNormOptions): number {
  checkOptions(who, options, ['p']);
  const { p = 2 } = options as GradNormOptions;
  return checkNumber(who, 'p', p, '(0, inf]');
}

/** (Σ|g|ᵖ)^(1/p) over all elements. */
export function normOf(arrays: readonly Float32Array[], p: number): number {
  return p === 2 ? euclideanNorm(arrays) : pNorm(arrays, p);
}

function euclideanNorm(arrays: readonly Float32Array[]): number {
  const { sumSquares } = engine();
  return Math.sqrt(arrays.reduce((sum, array) => sum + sumSquares(array), 0));
}

/** Divides by a number near the largest |g| first, because the powers could overflow. */
function pNorm(arrays: readonly Float32Array[], p: number): number {
  const largest = maxAbs(arrays);
  if (p === Number.POSITIVE_INFINITY || largest === 0 || !Number.isFinite(largest)) return largest;
  // A power of two, so the division is exact.
  const unit = 2 ** Math.floor(Math.log2(largest));
  let sum = 0;
  for (const array of arrays)
    for (let i = 0, length = lengthOf(array); i < length; i++) sum += (Math.abs(array[i]!) / unit) ** p;
  return unit * sum ** (1 / p);
}

/** max |g|. NaN if an element is NaN. */
function maxAbs(arrays: readonly Float32Array[]): number {
  const { linalg } = engine();
  let largest = 0;
  for (const array of arrays) {
    const size = linalg.maxAbs(array);
    if (!(size <= largest)) largest = size; // true for NaN too
    if (Number.isNaN(largest)) break;
  }
  return largest;
}
