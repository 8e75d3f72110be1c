import type { Job, Method, Settings } from './job.js';
import { methods } from './methods.js';

export interface Wanted {
  readonly quick?: boolean | undefined;
  readonly seed: number;
  readonly seeds?: number | undefined;
  readonly epochs?: number | undefined;
  readonly rates?: number | undefined;
}

/** The settings of the full study, or of the quick one. */
export function settingsOf({ quick = false, seed, seeds = quick ? 1 : 3, epochs, rates }: Wanted): Settings {
  const sizes = quick
    ? { train: 1000, validation: 500, batch: 50, epochs: 2, members: 3, rates: 3, passes: 10, scoresPerEpoch: 2 }
    : { train: 4000, validation: 1000, batch: 100, epochs: 5, members: 5, rates: 5, passes: 30, scoresPerEpoch: 4 };
  const chosen = { epochs: epochs ?? sizes.epochs, rates: rates ?? sizes.rates };
  return { seed, quick, seeds, ...sizes, ...chosen, hidden: [100, 100, 100, 100, 100] };
}

/** Hinton's temperature for the teachers' predictions, and the weight of the distillation loss beside that of the labels. */
export const distillation = { temperature: 2, alpha: 0.5 } as const;

/** Decay of the running average of the weights, which then covers about a quarter of the run. */
export function emaDecay(settings: Settings): number {
  return 1 - 4 / (settings.epochs * stepsPerEpoch(settings, 'adam'));
}

/** Number of images in a mini-batch. */
export function batchOf(settings: Settings, method: Method): number {
  return Math.min(settings.train, settings.batch * (methods[method].batches ?? 1));
}

export function stepsPerEpoch(settings: Settings, method: Method): number {
  return Math.floor(settings.train / batchOf(settings, method));
}

/** Number of steps or passes in a job, for the progress bar. */
export function stepsOf(job: Job, settings: Settings): number {
  if (job.kind === 'train') return settings.epochs * stepsPerEpoch(settings, job.method);
  return job.kind === 'range' ? job.steps : job.passes;
}
