/** The optimizers that are compared, as the report calls them. */
export const methods = {
  sgd: 'SGD',
  momentum: 'SGD + momentum',
  nesterov: 'SGD + Nesterov',
  adagrad: 'Adagrad',
  rmsprop: 'RMSprop',
  adam: 'Adam',
  uncorrectedAdam: 'Adam without bias correction',
} as const satisfies Record<string, string>;

export type Method = keyof typeof methods;
export type Decay = 'step' | 'exponential' | '1/t' | 'cosine';

/** How a student learns: from predictions softened by Hinton's temperature, and half from the labels. */
export const distillation = { temperature: 2, alpha: 0.5 } as const;
/** Of the running average of the weights: over about a quarter of the run. */
export function emaDecay(settings: Settings): number {
  return 1 - 4 / (settings.epochs * stepsPerEpoch(settings));
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

export type Job = TrainJob | RangeJob;

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
  /** Whole-set scores are taken so many times an epoch. */
  readonly scoresPerEpoch: number;
}

/** The settings of the study, whole or quick. */
export function settingsOf({ quick = false, seed }: { readonly quick?: boolean; readonly seed: number }): Settings {
  const sizes = quick
    ? { train: 2000, validation: 500, epochs: 2, members: 3 }
    : { train: 4000, validation: 1000, epochs: 5, members: 5 };
  return { seed, quick, ...sizes, batch: 100, hidden: [100, 100, 100, 100, 100], scoresPerEpoch: 4 };
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

export type Result = TrainResult | RangeResult;
export type ResultOf<J extends Job> = J extends TrainJob ? TrainResult : RangeResult;

/** Equal for two jobs exactly when their runs are the same; averaging only watches a run. */
export function keyOf(job: Job): string {
  return JSON.stringify(job, (name, value: unknown) => (name === 'average' ? undefined : value));
}

export function stepsPerEpoch(settings: Settings): number {
  return Math.floor(settings.train / settings.batch);
}

/** How many steps a job takes, for the progress bar. */
export function stepsOf(job: Job, settings: Settings): number {
  return job.kind === 'range' ? job.steps : settings.epochs * stepsPerEpoch(settings);
}
