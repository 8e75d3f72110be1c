import { optimizers } from '../common/schuss.js';
import type { Bar } from './ensemble.js';
import {
  type CurvesFigure,
  type DescentFigure,
  type Figure,
  jobsOf,
  rate,
  type Sweep,
  type SweepFigure,
} from './figures.js';
import { type DescentJob, keyOf, type Method, type Settings, type TrainJob, type TrainResult } from './job.js';
import { type Family, methods } from './methods.js';
import type { Results } from './pool.js';
import { stepsPerEpoch } from './settings.js';

/** A training run with its name, which is unique in the study. */
export interface Run {
  readonly name: string;
  readonly job: TrainJob;
  readonly result: TrainResult;
}

export function nameOf(job: TrainJob): string {
  const student = job.teachers === undefined ? '' : ', distilled student';
  const decay = job.decay === undefined ? '' : `, ${job.decay} decay`;
  const member = job.member === 0 || student !== '' ? '' : `, member ${job.member + 1}`;
  return `${methods[job.method].name}, lr ${rate(job.lr)}${decay}${member}${student}`;
}

/** The final validation accuracy; a run that diverged is below all others. */
const merit = (result: TrainResult): number => finalOf(result)?.validation.accuracy ?? -1;

/** The run with the highest final validation accuracy. The lower training loss breaks ties. */
export function bestOf({ jobs }: Sweep, results: Results): TrainJob {
  const loss = (job: TrainJob): number => finalOf(results.get(job))?.train.loss ?? Infinity;
  return [...jobs].sort(
    (a, b) => merit(results.get(b)) - merit(results.get(a)) || (loss(a) < loss(b) ? -1 : 1),
  )[0] as TrainJob;
}

/** A method's scores over its learning rates. */
export interface Ranked {
  readonly method: Method;
  readonly name: string;
  readonly family: Family;
  /** The accuracy at each learning rate; null if the run diverged. */
  readonly scores: readonly { readonly lr: number; readonly accuracy: number | null }[];
  readonly best: { readonly lr: number; readonly accuracy: number };
  /** The accuracies at the best learning rate and its two neighbours; 0 if the run diverged. */
  readonly nearby: readonly number[];
}

/** The methods of a figure, most accurate first. */
export function ranked({ sweeps }: SweepFigure, results: Results): Ranked[] {
  return sweeps
    .map((sweep): Ranked => {
      const { method, family, jobs } = sweep;
      const scores = jobs.map((job) => ({
        lr: job.lr,
        accuracy: finalOf(results.get(job))?.validation.accuracy ?? null,
      }));
      const { lr } = bestOf(sweep, results);
      const at = scores.findIndex((score) => score.lr === lr);
      const nearby = scores.slice(Math.max(0, at - 1), at + 2).map(({ accuracy }) => accuracy ?? 0);
      return {
        method,
        family,
        name: methods[method].name,
        scores,
        best: { lr, accuracy: scores[at]!.accuracy ?? 0 },
        nearby,
      };
    })
    .sort((a, b) => b.best.accuracy - a.best.accuracy);
}

/** A sweep as curves, each method at its best learning rate. Any other figure is returned as it is. */
export function atBest<F extends Figure>(figure: F, results: Results): Exclude<F, SweepFigure> | CurvesFigure {
  if (figure.kind !== 'ranking' && figure.kind !== 'sweep') return figure as Exclude<F, SweepFigure>;
  const lines = figure.sweeps.map((sweep) => {
    const job = bestOf(sweep, results);
    return { label: `${methods[job.method].name} ${rate(job.lr)}`, job };
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

/** Every training run of the figures once, ordered by method and learning rate. */
export function runsOf(figures: readonly Figure[], results: Results): Run[] {
  const jobs = new Map(
    figures.flatMap(jobsOf).flatMap((job) => (job.kind === 'train' ? [[keyOf(job), job] as const] : [])),
  );
  const order = Object.keys(methods);
  const rank = (job: TrainJob): number => (job.teachers ? 2 : job.member === 0 ? 0 : 1);
  return [...jobs.values()]
    .map((job) => ({ name: nameOf(job), job, result: results.get(job) }))
    .sort(
      (a, b) =>
        rank(a.job) - rank(b.job) ||
        order.indexOf(a.job.method) - order.indexOf(b.job.method) ||
        a.job.lr - b.job.lr ||
        a.job.member - b.job.member,
    );
}

/** The highest final validation accuracy, which several runs may share. */
export function bestAccuracy(runs: readonly Run[]): number {
  return Math.max(0, ...runs.map(({ result }) => merit(result)));
}

/** The last scores of a run; undefined if it diverged. */
export function finalOf(result: TrainResult): TrainResult['scores'][number] | undefined {
  return result.divergedAt === null ? result.scores.at(-1) : undefined;
}

/** Every measured number, and nothing that differs between two runs of the same command. */
export function toJson(
  figures: readonly Figure[],
  results: Results,
  settings: Settings,
  dataName: string,
  bars: readonly Bar[],
): string {
  const runs = runsOf(figures, results).map(
    ({ name, result: { losses, lrs, updates, scores, divergedAt, averages } }) => ({
      name,
      divergedAt,
      scores,
      losses,
      lrs,
      updates,
      ...(averages && { averages }),
    }),
  );
  const rangeTests = figures.flatMap((figure) =>
    figure.kind === 'range'
      ? figure.jobs.map((job) => ({ optimizer: methods[job.method].name, ...results.get(job) }))
      : [],
  );
  const contents = figures.map((figure) => ({
    id: figure.id,
    title: figure.title,
    ...(figure.kind === 'curves' && {
      runs: figure.lines.map((line) => ({ label: line.label, run: nameOf(line.job) })),
    }),
    ...((figure.kind === 'ranking' || figure.kind === 'sweep') && {
      classes: figure.sweeps.map((sweep) => ({
        name: methods[sweep.method].name,
        class: optimizers[methods[sweep.method].key]?.optimizerName,
        best: nameOf(bestOf(sweep, results)),
        runs: sweep.jobs.map(nameOf),
      })),
    }),
  }));
  const descents = figures.flatMap((figure) =>
    figure.kind !== 'descent'
      ? []
      : figure.problems.map(({ title, lines, reference }) => ({
          problem: title,
          lowest: lowestValue({ lines, reference }, results),
          methods: lines.map(({ label, jobs }) => ({
            method: label,
            best: lowestOf(jobs, results).lr,
            runs: jobs.map((job) => ({ lr: job.lr, values: results.get(job).values })),
          })),
        })),
  );
  return `${JSON.stringify({ data: dataName, settings, figures: contents, runs, rangeTests, descents, ensemble: bars }, undefined, 1)}\n`;
}

/** All training runs as CSV in long form: one value in each line. */
export function toCsv(figures: readonly Figure[], results: Results, settings: Settings): string {
  const rows = ['run,quantity,step,epoch,value'];
  for (const { name, job, result } of runsOf(figures, results)) {
    const perEpoch = stepsPerEpoch(settings, job.method);
    const add = (quantity: string, step: number, value: number): void => {
      rows.push(`"${name}",${quantity},${step},${step / perEpoch},${value}`);
    };
    for (const { step, train, validation } of result.scores) {
      add('training loss', step, train.loss);
      add('training accuracy', step, train.accuracy);
      add('validation loss', step, validation.loss);
      add('validation accuracy', step, validation.accuracy);
    }
    // The loss of a mini-batch is computed before its step; rate and update belong to the step itself.
    result.losses.forEach((loss, step) => {
      add('mini-batch loss', step, loss);
    });
    result.lrs.forEach((lr, step) => {
      add('learning rate', step + 1, lr);
    });
    result.updates.forEach((update, step) => {
      add('rms update', step + 1, update);
    });
  }
  return `${rows.join('\n')}\n`;
}
