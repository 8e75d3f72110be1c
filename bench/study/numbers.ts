import { optimizers } from '../common/schuss.js';
import type { Cost } from './cost.js';
import type { Bar } from './ensemble.js';
import type { Figure, SweepFigure } from './figures.js';
import { keyOf, type Method, repeatsOf, type Settings, type TrainJob, type TrainResult } from './job.js';
import { methods } from './methods.js';
import { chosenOf, lowestOf, lowestValue, nameOf, ranked, type Scored, trainJobs } from './outcomes.js';
import type { Results } from './pool.js';
import { stepsPerEpoch } from './settings.js';
import { worthNumbers, worthOf } from './worth.js';

/** A training run with its name, which is unique in the study. */
export interface Run {
  readonly name: string;
  readonly job: TrainJob;
  readonly result: TrainResult;
}

/** Every training run of the figures once, each followed by its repeats. */
function runsOf(figures: readonly Figure[], results: Results, { seeds }: Settings): Run[] {
  const jobs = new Map(
    trainJobs(figures)
      .flatMap((job) => repeatsOf(job, seeds))
      .map((job) => [keyOf(job), job]),
  );
  return [...jobs.values()].map((job) => ({ name: nameOf(job), job, result: results.get(job) }));
}

/** A method's place in the ranking. `diverged` takes the place of an accuracy. */
function placeOf({ name, best, atDefault }: ReturnType<typeof ranked>[number]): object {
  const told = ({ lr, accuracy }: Scored): object => ({
    lr,
    ...(accuracy === null ? { diverged: true } : { accuracy }),
  });
  return { name, best: told(best), ...(atDefault && { default: told(atDefault) }) };
}

/** Every measured number, and nothing that differs between two runs of the same command. */
export function toJson(
  figures: readonly Figure[],
  results: Results,
  settings: Settings,
  dataName: string,
  bars: readonly Bar[],
  costs: ReadonlyMap<Method, Cost> = new Map(),
): string {
  const runs = runsOf(figures, results, settings).map(
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
    ...((figure.kind === 'worth' || figure.kind === 'ranking' || figure.kind === 'sweep') && {
      classes: figure.sweeps.map((sweep) => ({
        name: methods[sweep.method].name,
        class: optimizers[methods[sweep.method].key]?.optimizerName,
        best: nameOf(chosenOf(figure, sweep, results)),
        runs: sweep.jobs.map(nameOf),
      })),
    }),
    ...(figure.kind === 'worth' && { worth: worthOf(figure, results).map((row) => worthNumbers(row, costs)) }),
    ...(figure.kind === 'ranking' && { ranking: ranked(figure, results).map(placeOf) }),
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

/** The figure `worth` alone, with the command that makes it again: short enough to be kept. */
export function worthJson(
  figure: SweepFigure,
  results: Results,
  settings: Settings,
  dataName: string,
  costs: ReadonlyMap<Method, Cost>,
  command: string,
): string {
  const worth = worthOf(figure, results).map((row) => worthNumbers(row, costs));
  return `${JSON.stringify({ command, data: dataName, settings, worth }, undefined, 1)}\n`;
}

/** All training runs as CSV in long form: one value in each line. */
export function toCsv(figures: readonly Figure[], results: Results, settings: Settings): string {
  const rows = ['run,quantity,step,epoch,value'];
  for (const { name, job, result } of runsOf(figures, results, settings)) {
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
