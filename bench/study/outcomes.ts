import type { CurvesFigure, DescentFigure, Figure, Sweep, SweepFigure } from './figures.js';
import { jobsOf, rate } from './figures.js';
import { type DescentJob, keyOf, type Method, type Scores, type TrainJob, type TrainResult } from './job.js';
import { lookOf } from './looks.js';
import { defaultLr, type Family, methods } from './methods.js';
import type { Results } from './pool.js';

/** The mean of a number over the seeds, with the lowest and the highest. */
export interface Spread {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    low: Math.min(...values),
    high: Math.max(...values),
  };
}

/** How a training run ended, over its seeds. */
export interface Outcome {
  readonly seeds: number;
  /** The step at which each seed that diverged did so, the earliest first. */
  readonly divergedAt: readonly number[];
  /** The final scores; undefined if the run diverged with any seed. */
  readonly final?: {
    readonly trainLoss: Spread;
    readonly trainAccuracy: Spread;
    readonly validationLoss: Spread;
    readonly validationAccuracy: Spread;
  };
}

/**
 * The step at which a run diverged: its loss became infinite or NaN, or it ended above the loss of the untrained network.
 * Undefined for other runs.
 */
function divergenceStep({ divergedAt, scores }: TrainResult): number | undefined {
  const [first, last] = [scores[0], scores.at(-1)];
  return divergedAt ?? (first && last && last.train.loss > first.train.loss ? last.step : undefined);
}

export function outcomeOf(job: TrainJob, results: Results): Outcome {
  const repeats = results.repeats(job);
  const divergedAt = repeats.flatMap((result) => divergenceStep(result) ?? []).sort((a, b) => a - b);
  const seeds = repeats.length;
  if (divergedAt.length > 0) return { seeds, divergedAt };
  const over = (value: (scores: Scores) => number): Spread =>
    spreadOf(repeats.map((result) => value(result.scores.at(-1) as Scores)));
  return {
    seeds,
    divergedAt,
    final: {
      trainLoss: over(({ train }) => train.loss),
      trainAccuracy: over(({ train }) => train.accuracy),
      validationLoss: over(({ validation }) => validation.loss),
      validationAccuracy: over(({ validation }) => validation.accuracy),
    },
  };
}

/** The mean of the final validation accuracy; null for a run that diverged. */
export const accuracyOf = (job: TrainJob, results: Results): number | null =>
  outcomeOf(job, results).final?.validationAccuracy.mean ?? null;

/** A run that diverged comes after all others. */
const merit = (accuracy: number | null): number => accuracy ?? -1;

/** The run with the highest final validation accuracy. The lower training loss breaks ties. */
export function bestOf({ jobs }: Sweep, results: Results): TrainJob {
  const loss = (job: TrainJob): number => outcomeOf(job, results).final?.trainLoss.mean ?? Infinity;
  return [...jobs].sort(
    (a, b) => merit(accuracyOf(b, results)) - merit(accuracyOf(a, results)) || (loss(a) < loss(b) ? -1 : 1),
  )[0] as TrainJob;
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(half)] as number) + (sorted[Math.ceil(half)] as number)) / 2;
}

/** The run with the lowest median of the final training loss, over those that finished; undefined if none did. */
export function leastLossOf({ jobs }: Sweep, results: Results): TrainJob | undefined {
  const loss = (job: TrainJob): number =>
    medianOf(results.repeats(job).map(({ scores }) => (scores.at(-1) as Scores).train.loss));
  const finished = jobs.filter((job) => outcomeOf(job, results).final !== undefined);
  return [...finished].sort((a, b) => loss(a) - loss(b))[0];
}

/** The run of a sweep that stands for its method, by the rule of the figure. */
export const chosenOf = ({ kind }: SweepFigure, sweep: Sweep, results: Results): TrainJob =>
  (kind === 'worth' ? leastLossOf(sweep, results) : undefined) ?? bestOf(sweep, results);

/** The accuracy at a learning rate; null if the run diverged. */
export interface Scored {
  readonly lr: number;
  readonly accuracy: number | null;
}

/** A method's scores over its learning rates. */
export interface Ranked {
  readonly method: Method;
  readonly name: string;
  readonly family: Family;
  readonly scores: readonly Scored[];
  readonly best: Scored;
  /** The score at the default learning rate of the class; undefined if it has none. */
  readonly atDefault: Scored | undefined;
  /** The scores half a decade below and above the best learning rate. */
  readonly beside: readonly Scored[];
}

/** The methods of a figure, most accurate first. Those that diverged at every learning rate are last. */
export function ranked({ sweeps }: SweepFigure, results: Results): Ranked[] {
  return sweeps
    .map((sweep): Ranked => {
      const { method, family, jobs } = sweep;
      const scores = jobs.map((job) => ({ lr: job.lr, accuracy: accuracyOf(job, results) }));
      const { lr } = bestOf(sweep, results);
      const best = scores.find((score) => score.lr === lr) as Scored;
      // Rates are rounded to one digit.
      const isBeside = (other: number): boolean => other !== lr && Math.abs(Math.log10(other / lr)) < 0.7;
      return {
        method,
        family,
        name: methods[method].name,
        scores,
        best,
        atDefault: scores.find((score) => score.lr === defaultLr(method)),
        beside: scores.filter((score) => isBeside(score.lr)),
      };
    })
    .sort((a, b) => merit(b.best.accuracy) - merit(a.best.accuracy));
}

/** A sweep as curves, each method at its best learning rate. Any other figure is returned as it is. */
export function atBest<F extends Figure>(figure: F, results: Results): Exclude<F, SweepFigure> | CurvesFigure {
  if (figure.kind !== 'worth' && figure.kind !== 'ranking' && figure.kind !== 'sweep')
    return figure as Exclude<F, SweepFigure>;
  const lines = figure.sweeps.map((sweep) => {
    const job = chosenOf(figure, sweep, results);
    return { label: `${methods[job.method].name} ${rate(job.lr)}`, look: lookOf(job.method), job };
  });
  const { id, title, about } = figure;
  return { id, title, about, kind: 'curves', lines };
}

/** The run of a method that ends lowest. A run that overflowed is above all others. */
export function lowestOf(jobs: readonly DescentJob[], results: Results): DescentJob {
  const end = (job: DescentJob): number => results.get(job).values.at(-1) ?? Infinity;
  return jobs.reduce((best, job) => (end(job) < end(best) ? job : best));
}

type DescentProblem = DescentFigure['problems'][number];

/** The lowest value that any run of a problem found. */
export function lowestValue({ lines, reference }: Omit<DescentProblem, 'title'>, results: Results): number {
  const jobs = [...lines.flatMap((line) => line.jobs), reference];
  return Math.min(...jobs.flatMap((job) => results.get(job).values));
}

/** Every training run of the figures once, without its repeats, ordered by method and learning rate. */
export function trainJobs(figures: readonly Figure[]): TrainJob[] {
  const jobs = new Map(
    figures.flatMap(jobsOf).flatMap((job) => (job.kind === 'train' ? [[keyOf(job), job] as const] : [])),
  );
  const order = Object.keys(methods);
  const rank = (job: TrainJob): number => (job.teachers ? 2 : job.repeat === 0 ? 0 : 1);
  return [...jobs.values()].sort(
    (a, b) =>
      rank(a) - rank(b) || order.indexOf(a.method) - order.indexOf(b.method) || a.lr - b.lr || a.repeat - b.repeat,
  );
}

export function nameOf(job: TrainJob): string {
  const student = job.teachers === undefined ? '' : ', distilled student';
  const decay = job.decay === undefined ? '' : `, ${job.decay} decay`;
  const repeat = job.repeat === 0 || student !== '' ? '' : `, repeat ${job.repeat + 1}`;
  return `${methods[job.method].name}, lr ${rate(job.lr)}${decay}${repeat}${student}`;
}

/** A training run, without its repeats, and how it ended. */
export interface Summary {
  readonly name: string;
  readonly outcome: Outcome;
}

/** The runs of all figures but the ensemble, whose bars have the numbers of its members. */
export function summaries(figures: readonly Figure[], results: Results): Summary[] {
  const others = figures.filter(({ kind }) => kind !== 'ensemble');
  return trainJobs(others).map((job) => ({ name: nameOf(job), outcome: outcomeOf(job, results) }));
}

/** The highest mean of a final validation accuracy, which several runs may share. */
export function bestAccuracy(runs: readonly Summary[]): number {
  return Math.max(0, ...runs.map(({ outcome }) => outcome.final?.validationAccuracy.mean ?? 0));
}
