import { checkNumber } from '../check/options.js';
import { floatsOf, lengthOf } from '../check/typed-array.js';
import type { Grads } from '../core/params.js';
import { engine } from '../engine/backend.js';
import { checkOrder, type GradNormOptions, normOf } from './grad-norm.js';
import { arraysOf } from './grads.js';

/** Options of {@link clipGradNorm}. */
export type ClipGradNormOptions = GradNormOptions;

/**
 * Scales gradients in place so that the norm of all of them together is at most `max`.
 *
 * Formula: g ← g · min(1, max/(‖g‖ₚ + 1e-6)), with ‖g‖ₚ = (Σ|g|ᵖ)^(1/p). The norm is computed in float64, and the
 * factor is rounded to float32. With p = 2, the result is bit-identical to the optimizers' `clipNorm`.
 *
 * If the factor is 1, nothing is written. As in PyTorch, one NaN makes all gradients NaN. An infinite element becomes
 * NaN, and all others become 0. The returned norm shows both cases. With `max` Infinity, the call only computes the
 * norm. An array that is the gradient of two params counts twice in the norm, as in a step, but is scaled once. The
 * same holds for memory that arrays share.
 *
 * @param grads one gradient, a list or a record of them, to any depth. Scaled in place; `null` is skipped.
 * @param max upper bound on the norm, (0, inf]; Infinity changes nothing
 * @param options `p` (2, (0, ∞]): {@link ClipGradNormOptions}
 * @returns the norm before clipping; 0 if there is no gradient
 * @throws TypeError for a wrong type, an unknown option, a sparse gradient, a detached buffer or memory of a pending
 *   step; RangeError for a value out of range. Nothing has changed then.
 * @see Pascanu, Mikolov & Bengio 2013, algorithm 1, https://arxiv.org/abs/1211.5063; PyTorch's clip_grad_norm_
 * @example
 * ```ts
 * import { clipGradNorm } from 'schuss';
 *
 * const grads = { weight: new Float32Array([3, 0]), bias: new Float32Array([-4]) };
 * clipGradNorm(grads, 1); // 5
 * grads.weight[0]; // 0.6
 * grads.bias[0]; // -0.8
 * ```
 */
export function clipGradNorm(grads: Grads, max: number, options: ClipGradNormOptions = {}): number {
  const who = 'clipGradNorm';
  checkNumber(who, 'max', max, '(0, inf]');
  const p = checkOrder(who, options);
  const arrays = arraysOf(who, grads);
  const norm = normOf(arrays, p);
  if (max === Number.POSITIVE_INFINITY) return norm;
  const coefficient = max / (norm + 1e-6);
  scale(arrays, Math.fround(coefficient > 1 ? 1 : coefficient));
  return norm;
}

/**
 * Clamps each element of the gradients to [−value, value], in place. NaN stays NaN.
 *
 * Formula: g ← min(max(g, −value), value), with value rounded to float32, as in the optimizers' `clipValue`.
 *
 * @param grads one gradient, a list or a record of them, to any depth. Clamped in place; `null` is skipped.
 * @param value upper bound on |g|, (0, inf)
 * @throws TypeError for a wrong type, a sparse gradient, a detached buffer or memory of a pending step; RangeError for
 *   a value out of range. Nothing has changed then.
 * @see PyTorch's clip_grad_value_
 * @example
 * ```ts
 * import { clipGradValue } from 'schuss';
 *
 * const grad = new Float32Array([3, -0.5]);
 * clipGradValue(grad, 1);
 * grad[0]; // 1
 * grad[1]; // -0.5
 * ```
 */
export function clipGradValue(grads: Grads, value: number): void {
  const who = 'clipGradValue';
  checkNumber(who, 'value', value, '(0, inf)');
  for (const array of arraysOf(who, grads)) {
    const length = lengthOf(array);
    for (let i = 0; i < length; i++) {
      const atLeast = -value > array[i]! ? -value : array[i]!;
      array[i] = value < atLeast ? value : atLeast;
    }
  }
}

/** Multiplies in place. Scales each element once, even if arrays share memory. */
function scale(arrays: readonly Float32Array[], factor: number): void {
  if (factor === 1) return;
  const { address, scale: scaleArray } = engine();
  const spans = arrays
    .map((array) => ({ array, start: address(array), length: lengthOf(array) }))
    .filter(({ length }) => length > 0);
  /** The address up to which all elements are scaled. */
  let scaledEnd = Number.NEGATIVE_INFINITY;
  for (const { array, start, length } of spans.sort((a, b) => a.start - b.start)) {
    const done = Math.max(0, (scaledEnd - start) / Float32Array.BYTES_PER_ELEMENT);
    if (done < length) scaleArray(done === 0 ? array : floatsOf(array, done), factor);
    scaledEnd = Math.max(scaledEnd, start + length * Float32Array.BYTES_PER_ELEMENT);
  }
}
