import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { versionOf } from '../common/packages.js';
import { backend } from '../common/schuss.js';
import { processorName } from '../report/machine.js';
import { makeFolder, newTable } from '../report/output.js';
import { divergenceOf, percent, percentOver, short } from './captions.js';
import { costsOf } from './cost.js';
import { loadDigits, loadFolder, split } from './data.js';
import { ensembleBars } from './ensemble.js';
import { type Figure, jobsOf, type SweepFigure } from './figures.js';
import type { Settings } from './job.js';
import { toCsv, toJson, worthJson } from './numbers.js';
import { atBest, bestAccuracy, type Summary, summaries } from './outcomes.js';
import { pictures } from './picture.js';
import { performAll, plan } from './pool.js';
import { duration, estimateSeconds, progressBar, totalSteps } from './progress.js';
import { reportHtml } from './report.js';
import { type Selection, selectFigures } from './select.js';
import { settingsOf } from './settings.js';
import { worthOf } from './worth.js';

export interface StudyOptions extends Selection {
  readonly data?: string;
  readonly out: string;
  readonly seed: number;
  readonly seeds?: number;
  readonly epochs?: number;
  readonly rates?: number;
  readonly quick?: boolean;
  readonly workers?: number;
  /** The command line, for the report. */
  readonly command: string;
}

/** Performs every run of the study's figures, prints a table, and writes the report and its numbers. */
export async function study(options: StudyOptions): Promise<void> {
  const started = performance.now();
  const settings = settingsOf(options);
  const chosen = selectFigures(settings, options);
  const data = split(options.data === undefined ? loadDigits() : loadFolder(options.data), settings);
  // A folder that cannot be made is an error now, and not after minutes of work.
  const out = makeFolder('study', options.out);

  const jobs = plan(chosen.flatMap(jobsOf), settings.seeds);
  const workers = options.workers ?? availableParallelism();
  const expected = await estimateSeconds(jobs, data, settings, workers);
  console.error(
    `${jobs.length} runs with ${workers} ${workers === 1 ? 'worker' : 'workers'}, about ${duration(expected)} on this machine. --quick, --only, --methods and --seeds make it shorter.`,
  );
  const bar = progressBar(totalSteps(jobs, settings));
  const results = await performAll(jobs, data, settings, { workers, onSteps: (steps) => bar.increment(steps) }).finally(
    () => bar.stop(),
  );

  const ensemble = chosen.find((figure): figure is Extract<Figure, { kind: 'ensemble' }> => figure.kind === 'ensemble');
  const bars = ensemble === undefined ? [] : ensembleBars(ensemble, results, data);
  const worth = chosen.find((figure): figure is SweepFigure => figure.kind === 'worth');
  // After the runs, when no worker takes the processor from a step that is timed.
  const costs = costsOf(worth?.sweeps.map(({ method }) => method) ?? [], data, settings);
  const seconds = (performance.now() - started) / 1000;
  const html = reportHtml({
    figures: chosen,
    results,
    settings,
    data,
    bars,
    costs,
    made: madeOf(options, settings, data.name, jobs.length, seconds),
  });
  const files = {
    'report.html': html,
    'numbers.json': toJson(chosen, results, settings, data.name, bars, costs),
    'curves.csv': toCsv(chosen, results, settings),
    ...(worth && {
      'worth.json': worthJson(worth, results, settings, data.name, costs, options.command),
      ...(await pictures(worthOf(worth, results))),
    }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);

  const runs = summaries(
    chosen.map((figure) => atBest(figure, results)),
    results,
  );
  if (runs.length > 0) console.log(table(runs));
  if (bars.length > 0) console.log(barTable(bars));
  console.log(
    `${jobs.length} runs in ${seconds.toFixed(0)} s${settings.quick ? ' (quick: fewer images, epochs, learning rates and members than the full study)' : ''}. Open ${relative('', join(out, 'report.html'))}`,
  );
}

function table(runs: readonly Summary[]): string {
  const best = bestAccuracy(runs);
  const rows = newTable(['run', 'train loss', 'train acc', 'val acc', '']);
  for (const { name, outcome } of runs) {
    const { final, divergedAt, seeds } = outcome;
    rows.push(
      final === undefined
        ? [name, 'diverged', divergenceOf(divergedAt, seeds), '', '']
        : [
            name,
            short(final.trainLoss.mean),
            percent(final.trainAccuracy.mean),
            percentOver(final.validationAccuracy),
            final.validationAccuracy.mean === best ? '★ best' : '',
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
    ['Seed', settings.seeds === 1 ? String(settings.seed) : `${settings.seed}; ${settings.seeds} repeats of each run`],
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
