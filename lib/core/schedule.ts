/**
 * A value that depends on the step alone: a pure function of the step about to be taken, 1, 2, 3, ….
 * Any function of this type is one; `schuss` brings the usual ones (`cosine`, `warmup`, …).
 *
 * @example
 * ```ts
 * import { type Schedule, SGD } from 'schuss';
 * const halving: Schedule = (step) => 0.1 * 0.5 ** Math.floor((step - 1) / 1000);
 * new SGD(new Float32Array(10), { lr: halving });
 * ```
 */
export type Schedule = (step: number) => number;
