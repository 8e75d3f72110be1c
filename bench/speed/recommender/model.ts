import type { Contender } from '../alternate.js';
import { type Method, methods } from '../task.js';
import type { Batch, Sizes } from './batches.js';

/**
 * What is trained on a click: the score is the dot product of an item's row and a vector, and the loss the sum of the logistic
 * losses of a batch. In `pairs` the vector is the user's row, in `bags` the mean of the rows of the user's history.
 */
export const models = {
  pairs: 'user · item',
  bags: 'mean of the history · item',
} as const;
export type Model = keyof typeof models;

/** The methods for which PyTorch takes sparse gradients. */
export const sparseMethods = ['sgd', 'adagrad', 'adam'] as const satisfies readonly Method[];
export type SparseMethod = (typeof sparseMethods)[number];

/** PyTorch's SparseAdam adds eps before it corrects the bias. So small an eps makes no difference. */
export const optionsOf = {
  sgd: methods.sgd.options,
  adagrad: methods.adagrad.options,
  adam: { ...methods.adam.options, eps: 1e-12 },
} as const satisfies Record<SparseMethod, object>;

/** One cell of the benchmark. */
export interface Training {
  readonly model: Model;
  readonly method: SparseMethod;
  readonly sizes: Sizes;
  readonly batches: readonly Batch[];
}

/** Someone who trains. Its steps are whole: scores, gradients and update. */
export interface Trainer extends Contender {
  /** Every stride-th weight of the items' table. */
  sample(stride: number): ArrayLike<number> | Promise<ArrayLike<number>>;
  dispose(): void | Promise<void>;
}
