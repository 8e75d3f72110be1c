import { type Method, methods } from './methods.js';
import type { Problem } from './sums.js';

export type Decay = 'step' | 'exponential' | '1/t' | 'cosine';

/** How a student learns: from predictions softened by Hinton's temperature, and half from the labels. */
export const distillation = { temperature: 2, alpha: 0.5 } as const;
/** Of the running average of the weights: over about a quarter of the run. */
export function emaDecay(settings: Settings): number {
  return 1 - 4 / (settings.epochs * stepsPerEpoch(settings, 'adam'));
}

/** One training run. Plain data: it travels to a worker, and two figures that declare the same run share it. */
export interface TrainJob {
  readonly kind: 'train';
  readonly method: Method;
  readonly lr: number;
  readonly decay?: Decay;
  /** Which initial weights and batches: runs of one member start alike and see the same batches. */
  readonly member: number;
  /** Also keep running averages of the weights. */
  readonly average?: true;
  /** Learn from the averaged predictions of these, and not from the labels alone. */
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

/** One run down a sum of functions. */
export interface DescentJob {
  readonly kind: 'descent';
  readonly problem: Problem;
  readonly method: 'sfo' | 'lbfgs' | Method;
  /** Of a first-order method. */
  readonly lr?: number;
  /** How often each term of the sum is evaluated. */
  readonly passes: number;
}

export type Job = TrainJob | RangeJob | DescentJob;

/** What holds for every run of a study. */
export interface Settings {
  readonly seed: number;
  readonly quick: boolean;
  readonly train: number;
  readonly validation: number;
  readonly batch: number;
  readonly epochs: number;
  readonly members: number;
  readonly hidden: readonly number[];
  /** With how many learning rates each class is tried. */
  readonly rates: number;
  /** How often the second-order comparison goes over its sums. */
  readonly passes: number;
  /** Whole-set scores are taken so many times an epoch. */
  readonly scoresPerEpoch: number;
}

/** The settings of the study, whole or quick. */
export function settingsOf({ quick = false, seed }: { readonly quick?: boolean; readonly seed: number }): Settings {
  const sizes = quick
    ? { train: 1000, validation: 500, batch: 50, epochs: 2, members: 3, rates: 3, passes: 10, scoresPerEpoch: 2 }
    : { train: 4000, validation: 1000, batch: 100, epochs: 5, members: 5, rates: 5, passes: 30, scoresPerEpoch: 4 };
  return { seed, quick, ...sizes, hidden: [100, 100, 100, 100, 100] };
}

export interface Score {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** 0 … 1. */
  readonly accuracy: number;
}

export interface Scores {
  readonly train: Score;
  readonly validation: Score;
}

export interface TrainResult {
  readonly kind: 'train';
  /** At each step, before it: the loss of its mini-batch, and the learning rate. */
  readonly losses: readonly number[];
  readonly lrs: readonly number[];
  /** At each step: root mean square of the change of the parameters. */
  readonly updates: readonly number[];
  /** On all training and validation images, after so many steps. */
  readonly scores: readonly (Scores & { readonly step: number })[];
  /** The step at which the loss was no longer a finite number; the run ends there. */
  readonly divergedAt: number | null;
  /** The last weights' logits; null for a run that diverged. */
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
  /** The mean of the terms at the start and after each pass; a run that overflows or converges has fewer. */
  readonly values: readonly number[];
}

export type Result = TrainResult | RangeResult | DescentResult;
export type ResultOf<J extends Job> = Extract<Result, { kind: J['kind'] }>;

/** Equal for two jobs exactly when their runs are the same; averaging only watches a run. */
export function keyOf(job: Job): string {
  return JSON.stringify(job, (name, value: unknown) => (name === 'average' ? undefined : value));
}

/** The examples of a step. */
export function batchOf(settings: Settings, method: Method): number {
  return Math.min(settings.train, settings.batch * (methods[method].batches ?? 1));
}

export function stepsPerEpoch(settings: Settings, method: Method): number {
  return Math.floor(settings.train / batchOf(settings, method));
}

/** How many steps or passes a job takes, for the progress bar. */
export function stepsOf(job: Job, settings: Settings): number {
  if (job.kind === 'train') return settings.epochs * stepsPerEpoch(settings, job.method);
  return job.kind === 'range' ? job.steps : job.passes;
}
