import { freemem } from 'node:os';
import { Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, type OptimizerClass, RMSprop, SGD } from '../common/schuss.js';

/** The updates that peers implement, each with the class and options that compute the same in schuss. */
export const methods = {
  adam: { label: 'Adam', Class: Adam, options: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8 }, states: 2 },
  adamw: { label: 'AdamW', Class: AdamW, options: { lr: 1e-3, weightDecay: 0.01, eps: 1e-8 }, states: 2 },
  sgd: { label: 'SGD', Class: SGD, options: { lr: 0.01 }, states: 0 },
  momentum: { label: 'SGD with momentum', Class: SGD, options: { lr: 0.01, momentum: 0.9 }, states: 1 },
  adagrad: { label: 'AdaGrad', Class: Adagrad, options: { lr: 0.01, initialAccumulatorValue: 0.1 }, states: 1 },
  rmsprop: { label: 'RMSProp', Class: RMSprop, options: { lr: 1e-3, alpha: 0.9, eps: 1e-8 }, states: 1 },
  nadam: { label: 'NAdam', Class: NAdam, options: { lr: 2e-3 }, states: 2 },
  adamax: { label: 'Adamax', Class: Adamax, options: { lr: 2e-3 }, states: 2 },
  adadelta: { label: 'Adadelta', Class: Adadelta, options: { lr: 1, rho: 0.9, eps: 1e-6 }, states: 2 },
} as const satisfies Record<string, { label: string; Class: OptimizerClass; options: object; states: number }>;

export type Method = keyof typeof methods;

/** The updates that every peer implements. PyTorch also has the others. */
export const common = ['adam', 'sgd', 'momentum', 'adagrad', 'rmsprop'] as const satisfies readonly Method[];
export type Common = (typeof common)[number];
/** The updates that PyTorch's fused step has. */
export const fusedMethods: readonly Method[] = ['adam', 'adamw', 'sgd', 'momentum', 'adagrad'];

/** What all contenders compute: steps of a method on `tensors` tensors with `n` elements in total, from the same values. */
export interface Task {
  readonly method: Method;
  readonly n: number;
  readonly tensors: number;
  readonly threads: number;
}

/** Arrays of a task's size that a contender may need: param, gradient, two states, and temporaries. */
const arraysOfContender = 8;

/** Whether this many arrays of n floats fit in memory. If they do not, swapping would be measured, not stepping. */
export function fits(n: number, arrays = arraysOfContender): boolean {
  return n * arrays * Float32Array.BYTES_PER_ELEMENT < 0.9 * freemem();
}

/** @throws Error if another contender of this size may not fit in memory */
export function checkMemory(n: number, arrays = arraysOfContender): void {
  if (fits(n, arrays)) return;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new Error(
    `needs ${gib(n * arrays * Float32Array.BYTES_PER_ELEMENT)} of memory, but only ${gib(freemem())} is free`,
  );
}

/** Fills with value(0) … value(period − 1), repeated. */
function fillPeriodic(array: Float32Array, period: number, value: (i: number) => number): Float32Array {
  const first = Math.min(period, array.length);
  for (let i = 0; i < first; i++) array[i] = value(i);
  for (let filled = first; filled < array.length; filled *= 2) array.copyWithin(filled, 0, filled);
  return array;
}

// peers/torch-script.ts repeats these formulas. No gradient is near 0: there, the place of eps in the formula would matter,
// and averages would become denormal.
export const startPeriod = 1009;
export const gradPeriod = 101;

export function fillStart(array: Float32Array): Float32Array {
  return fillPeriodic(array, startPeriod, (i) => (i - 504) / startPeriod);
}

export function fillGrads(array: Float32Array): Float32Array {
  return fillPeriodic(array, gradPeriod, (i) => (i - 50.5) / 50);
}

/** The arrays of a task, one for each tensor. */
export function tensorsOf({ n, tensors }: Task, make: (length: number) => Float32Array): Float32Array[] {
  return Array.from({ length: tensors }, () => make(n / tensors));
}
