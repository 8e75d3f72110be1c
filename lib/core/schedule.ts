/**
 * A hyper-parameter as a pure function of the step number 1, 2, 3, … of the step about to be taken. Any function of
 * this type is a schedule. `schuss` has the usual ones (`cosine`, `warmup`, …).
 *
 * @example
 * ```ts
 * import { type Schedule, SGD } from 'schuss';
 * const halving: Schedule = (step) => 0.1 * 0.5 ** Math.floor((step - 1) / 1000);
 * new SGD(new Float32Array(10), { lr: halving });
 * ```
 */
export type Schedule = (step: number) => number;
