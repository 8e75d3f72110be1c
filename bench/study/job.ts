import type { StepsMethod } from '../common/schuss.js';

/** A class of the library, or one of its variants in methods.ts. */
export type Method = StepsMethod | 'momentum' | 'nesterov' | 'uncorrectedAdam';

/** A sum of functions in sums.ts. */
export type Problem = 'softmax' | 'autoencoder';

export type Decay = 'step' | 'exponential' | '1/t' | 'cosine';

/** One training run. Plain data, so that it can be sent to a worker. Figures that declare the same run share it. */
export interface TrainJob {
  readonly kind: 'train';
  readonly method: Method;
  readonly lr: number;
  readonly decay?: Decay;
  /** Selects the initial weights and the order of batches: runs with the same number start alike and see the same batches. */
  readonly repeat: number;
  /** Also keeps running averages of the weights. */
  readonly average?: true;
  /** Runs whose averaged predictions this one learns from, beside the labels. */
  readonly teachers?: readonly TrainJob[];
}

/** One learning rate range test. */
export interface RangeJob {
  readonly kind: 'range';
  readonly method: Method;
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

/** One minimization of a sum of functions. */
export interface DescentJob {
  readonly kind: 'descent';
  readonly problem: Problem;
  readonly method: 'sfo' | 'lbfgs' | 'hessianFree' | Method;
  /** Learning rate of a first-order method. */
  readonly lr?: number;
  /** The work allowed: as many gradients of the whole sum. */
  readonly passes: number;
}

export type Job = TrainJob | RangeJob | DescentJob;

/** Settings shared by all runs of a study. */
export interface Settings {
  readonly seed: number;
  readonly quick: boolean;
  /** Number of repeats of each training run, each with other initial weights and another order of batches. */
  readonly seeds: number;
  /** Number of training images. */
  readonly train: number;
  /** Number of validation images. */
  readonly validation: number;
  readonly batch: number;
  readonly epochs: number;
  /** Number of ensemble members. */
  readonly members: number;
  /** Widths of the hidden layers. */
  readonly hidden: readonly number[];
  /** Number of learning rates that each method is tried at. */
  readonly rates: number;
  /** Passes over the data in the second-order comparison. */
  readonly passes: number;
  /** How many times an epoch loss and accuracy are computed on the whole sets. */
  readonly scoresPerEpoch: number;
}

export interface Score {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** In [0, 1]. */
  readonly accuracy: number;
}

export interface Scores {
  readonly train: Score;
  readonly validation: Score;
}

export interface TrainResult {
  readonly kind: 'train';
  /** For each step: the loss of its mini-batch before the update. */
  readonly losses: readonly number[];
  /** For each step: the learning rate. */
  readonly lrs: readonly number[];
  /** For each step: root mean square of the parameters' change. */
  readonly updates: readonly number[];
  /** Scores on all training and validation images, with the number of steps before them. */
  readonly scores: readonly (Scores & { readonly step: number })[];
  /** The step at which the loss became infinite or NaN, which ends the run; null if there was none. */
  readonly divergedAt: number | null;
  /** Logits of the final weights; null for a run that diverged. */
  readonly logits: { readonly train: Float32Array; readonly validation: Float32Array } | null;
  readonly averages?: { readonly swa: Scores; readonly ema: Scores };
}

export interface RangeResult {
  readonly kind: 'range';
  readonly lrs: readonly number[];
  readonly losses: readonly number[];
  readonly suggestion: number;
}

export interface DescentResult {
  readonly kind: 'descent';
  /** Mean of the terms at the start and after each pass of work. A run that overflows or converges early has fewer. */
  readonly values: readonly number[];
}

export type Result = TrainResult | RangeResult | DescentResult;
export type ResultOf<J extends Job> = Extract<Result, { kind: J['kind'] }>;

/** A training run and its repeats. Ensemble members, students and other jobs are not repeated. */
export function repeatsOf<J extends Job>(job: J, seeds: number): J[] {
  if (job.kind !== 'train' || job.repeat !== 0 || job.teachers !== undefined) return [job];
  return Array.from({ length: seeds }, (_, repeat) => ({ ...job, repeat }));
}

/** Equal for two jobs exactly when their runs are the same. `average` is ignored, because averaging does not alter a run. */
export function keyOf(job: Job): string {
  return JSON.stringify(job, (name, value: unknown) => (name === 'average' ? undefined : value));
}
