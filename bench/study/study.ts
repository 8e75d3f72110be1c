import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import progress from 'cli-progress';
import { versionOf } from '../common/packages.js';
import { backend } from '../common/schuss.js';
import { processorName } from '../report/machine.js';
import { makeFolder, newTable } from '../report/output.js';
import { percent, short } from './captions.js';
import { loadDigits, loadFolder, split } from './data.js';
import { ensembleBars } from './ensemble.js';
import { type Figure, figures, jobsOf } from './figures.js';
import type { Settings } from './job.js';
import { atBest, bestAccuracy, finalOf, type Run, runsOf, toCsv, toJson } from './numbers.js';
import { performAll, plan } from './pool.js';
import { reportHtml } from './report.js';
import { settingsOf, stepsOf } from './settings.js';

export interface StudyOptions {
  readonly data?: string;
  readonly out: string;
  readonly seed: number;
  readonly quick?: boolean;
  readonly only?: readonly string[];
  readonly workers?: number;
  /** The command line, for the report. */
  readonly command: string;
}

/** Performs every run of the study's figures, prints a table, and writes the report and its numbers. */
export async function study(options: StudyOptions): Promise<void> {
  const started = performance.now();
  const settings = settingsOf(options);
  const data = split(options.data === undefined ? loadDigits() : loadFolder(options.data), settings);
  // A folder that cannot be made is an error now, and not after minutes of work.
  const out = makeFolder('study', options.out);

  const chosen = figures(settings).filter((figure) => options.only === undefined || options.only.includes(figure.id));
  const jobs = plan(chosen.flatMap(jobsOf));
  const workers = options.workers ?? availableParallelism();
  const bar = progressBar(jobs.reduce((sum, job) => sum + stepsOf(job, settings), 0));
  const results = await performAll(jobs, data, settings, { workers, onSteps: (steps) => bar.increment(steps) }).finally(
    () => bar.stop(),
  );

  const ensemble = chosen.find((figure): figure is Extract<Figure, { kind: 'ensemble' }> => figure.kind === 'ensemble');
  const bars = ensemble === undefined ? [] : ensembleBars(ensemble, results, data);
  const seconds = (performance.now() - started) / 1000;
  const html = reportHtml({
    figures: chosen,
    results,
    settings,
    data,
    bars,
    made: madeOf(options, settings, data.name, jobs.length, seconds),
  });
  const files = {
    'report.html': html,
    'numbers.json': toJson(chosen, results, settings, data.name, bars),
    'curves.csv': toCsv(chosen, results, settings),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);

  const runs = runsOf(
    chosen.map((figure) => atBest(figure, results)),
    results,
  );
  if (runs.length > 0) console.log(table(runs));
  if (bars.length > 0) console.log(barTable(bars));
  console.log(
    `${jobs.length} runs in ${seconds.toFixed(0)} s${settings.quick ? ' (quick: fewer images, epochs, learning rates and members than the full study)' : ''}. Open ${relative('', join(out, 'report.html'))}`,
  );
}

/** A progress bar, which is drawn only on a terminal. */
function progressBar(total: number): progress.SingleBar {
  const bar = new progress.SingleBar(
    {
      format: 'training {bar} {percentage}% | {value}/{total} steps | {eta_formatted} left',
      hideCursor: true,
      clearOnComplete: true,
    },
    progress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return bar;
}

function table(runs: readonly Run[]): string {
  const best = bestAccuracy(runs);
  const rows = newTable(['run', 'train loss', 'train acc', 'val acc', '']);
  for (const { name, result } of runs) {
    const final = finalOf(result);
    rows.push(
      final === undefined
        ? [name, 'diverged', `step ${result.divergedAt}`, '', '']
        : [
            name,
            short(final.train.loss),
            percent(final.train.accuracy),
            percent(final.validation.accuracy),
            final.validation.accuracy === best ? '★ best' : '',
          ],
    );
  }
  return rows.toString();
}

function barTable(bars: ReturnType<typeof ensembleBars>): string {
  const best = Math.max(...bars.map((bar) => bar.validationAccuracy));
  const rows = newTable(['ensemble', 'train loss', 'train acc', 'val acc', '']);
  for (const { label, loss, trainAccuracy, validationAccuracy } of bars) {
    rows.push([
      label,
      loss === null ? '–' : short(loss),
      percent(trainAccuracy),
      percent(validationAccuracy),
      validationAccuracy === best ? '★ best' : '',
    ]);
  }
  return rows.toString();
}

function madeOf(
  options: StudyOptions,
  settings: Settings,
  dataName: string,
  runs: number,
  seconds: number,
): [string, string][] {
  const { name, isa, threads, version } = backend();
  const packages = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', 'vega', 'vega-lite', 'vega-embed'];
  return [
    ['Command', options.command],
    [
      'Data',
      `${dataName}; ${settings.train} training and ${settings.validation} validation images, drawn at random by the seed; pixels 0–255 minus the training mean`,
    ],
    [
      'Network',
      `${settings.hidden.length} hidden ReLU layers of ${settings.hidden[0]} units; initial weights N(0, 0.05²), biases 0`,
    ],
    ['Seed', String(settings.seed)],
    ['Updates', `schuss ${version}, ${name} backend, ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`],
    ['Gradients', 'TensorFlow.js, WebAssembly backend'],
    ['Packages', packages.map((name) => `${name} ${versionOf(name)}`).join(', ')],
    [
      'Machine',
      `${processorName()}, ${availableParallelism()} cores; ${process.platform} ${process.arch}; Node ${process.version}`,
    ],
    ['Time', `${runs} runs in ${seconds.toFixed(0)} s, on ${new Date().toISOString().slice(0, 10)}`],
  ];
}
