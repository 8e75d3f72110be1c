import type { Bar } from './ensemble.js';
import { type Figure, rate } from './figures.js';
import { keyOf, methods, type Settings, stepsPerEpoch, type TrainJob, type TrainResult } from './job.js';
import type { Results } from './pool.js';

/** One training run under the name that is unique in the study. */
export interface Run {
  readonly name: string;
  readonly job: TrainJob;
  readonly result: TrainResult;
}

export function nameOf(job: TrainJob): string {
  const student = job.teachers === undefined ? '' : ', distilled student';
  const decay = job.decay === undefined ? '' : `, ${job.decay} decay`;
  const member = job.member === 0 || student !== '' ? '' : `, member ${job.member + 1}`;
  return `${methods[job.method]}, lr ${rate(job.lr)}${decay}${member}${student}`;
}

/** Every training run of the figures once, by method and learning rate. */
export function runsOf(figures: readonly Figure[], results: Results): Run[] {
  const jobs = new Map<string, TrainJob>();
  for (const figure of figures) {
    const shown =
      figure.kind === 'curves'
        ? figure.lines.map((line) => line.job)
        : figure.kind === 'ensemble'
          ? [...figure.members, figure.student]
          : [];
    for (const job of shown) jobs.set(keyOf(job), job);
  }
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

/** The highest final validation accuracy; several runs may share it. */
export function bestAccuracy(runs: readonly Run[]): number {
  return Math.max(...runs.map(({ result }) => finalOf(result)?.validation.accuracy ?? 0));
}

/** The last scores of a run that went to its end. */
export function finalOf(result: TrainResult): TrainResult['scores'][number] | undefined {
  return result.divergedAt === null ? result.scores.at(-1) : undefined;
}

/** Everything that was measured, and nothing that changes from one run of the same command to the next. */
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
    figure.kind === 'range' ? figure.jobs.map((job) => ({ optimizer: methods[job.method], ...results.get(job) })) : [],
  );
  const contents = figures.map((figure) => ({
    id: figure.id,
    title: figure.title,
    ...(figure.kind === 'curves' && {
      runs: figure.lines.map((line) => ({ label: line.label, run: nameOf(line.job) })),
    }),
  }));
  return `${JSON.stringify({ data: dataName, settings, figures: contents, runs, rangeTests, ensemble: bars }, undefined, 1)}\n`;
}

/** Long form: one value a row. */
export function toCsv(figures: readonly Figure[], results: Results, settings: Settings): string {
  const perEpoch = stepsPerEpoch(settings);
  const rows = ['run,quantity,step,epoch,value'];
  const add = (name: string, quantity: string, step: number, value: number): void => {
    rows.push(`"${name}",${quantity},${step},${step / perEpoch},${value}`);
  };
  for (const { name, result } of runsOf(figures, results)) {
    for (const { step, train, validation } of result.scores) {
      add(name, 'training loss', step, train.loss);
      add(name, 'training accuracy', step, train.accuracy);
      add(name, 'validation loss', step, validation.loss);
      add(name, 'validation accuracy', step, validation.accuracy);
    }
    // A mini-batch is looked at before its step, the update is what the step does.
    result.losses.forEach((loss, step) => {
      add(name, 'mini-batch loss', step, loss);
    });
    result.lrs.forEach((lr, step) => {
      add(name, 'learning rate', step + 1, lr);
    });
    result.updates.forEach((update, step) => {
      add(name, 'rms update', step + 1, update);
    });
  }
  return `${rows.join('\n')}\n`;
}
