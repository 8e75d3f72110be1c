import type { Bar } from './ensemble.js';
import type { CurvesFigure, DescentFigure, RangeFigure, SweepFigure } from './figures.js';
import { rate } from './figures.js';
import type { TrainResult } from './job.js';
import { methods } from './methods.js';
import {
  atBest,
  chosenOf,
  lowestOf,
  lowestValue,
  outcomeOf,
  type Ranked,
  ranked,
  type Scored,
  type Spread,
} from './outcomes.js';
import type { Results } from './pool.js';

// The captions of figures. Every number and every name in them is read from the results.

/** 0.9312 → 93.1%. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}%`;
}

/** Three significant digits, with an exponent for very small and very large values. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) return value.toExponential(2);
  return size < 1000 ? value.toPrecision(3) : value.toFixed(0);
}

/** 93.1%, and with several seeds 93.1% (92.8–93.3%). */
export function percentOver({ mean, low, high }: Spread): string {
  return low === high ? percent(mean) : `${percent(mean)} (${(100 * low).toFixed(1)}–${percent(high)})`;
}

/** The uncertainty of an accuracy measured on `count` images: two standard errors, in percentage points. */
export function chance(accuracy: number, count: number): string {
  return `${(100 * chanceOf(accuracy, count)).toFixed(1)} points`;
}

function chanceOf(accuracy: number, count: number): number {
  return 2 * Math.sqrt((accuracy * (1 - accuracy)) / count);
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

function extremes<T>(items: readonly T[], value: (item: T) => number): { lowest: T; highest: T } {
  const sorted = [...items].sort((a, b) => value(a) - value(b));
  return { lowest: sorted[0] as T, highest: sorted.at(-1) as T };
}

export function describeCurves(figure: CurvesFigure, results: Results, classes: number): string {
  const lines = figure.lines.map(({ label, job }) => ({
    label,
    outcome: outcomeOf(job, results),
    repeats: results.repeats(job),
  }));
  const finished = lines.flatMap(({ label, repeats, outcome: { final } }) =>
    final === undefined ? [] : [{ label, repeats, final }],
  );
  const sentences: string[] = [];
  if (finished.length > 1) {
    const accuracy = extremes(finished, ({ final }) => final.validationAccuracy.mean);
    const loss = extremes(finished, ({ final }) => final.trainLoss.mean);
    sentences.push(
      `Final validation accuracy is highest for ${accuracy.highest.label} (${percent(accuracy.highest.final.validationAccuracy.mean)}) and lowest for ${accuracy.lowest.label} (${percent(accuracy.lowest.final.validationAccuracy.mean)}).`,
      `Final training loss is lowest for ${loss.lowest.label} (${short(loss.lowest.final.trainLoss.mean)}).`,
    );
  }
  const nearChance = finished.filter(({ final }) => final.trainAccuracy.mean < 1.5 / classes).map(({ label }) => label);
  if (nearChance.length > 0)
    sentences.push(`No better than chance on the training images at the end: ${list(nearChance)}.`);
  const spikes = finished.flatMap(({ label, repeats }) => {
    const highest = Math.max(...repeats.flatMap(({ losses }) => losses));
    return highest > 2 * (repeats[0]!.losses[0] as number) ? [`${label} (to ${short(highest)})`] : [];
  });
  if (spikes.length > 0) {
    sentences.push(
      `The loss of a mini-batch rose above twice the first loss, and may be outside the axis: ${list(spikes)}.`,
    );
  }
  const diverged = lines
    .filter(({ outcome }) => outcome.divergedAt.length > 0)
    .map(({ label, outcome: { divergedAt, seeds } }) => `${label} (${divergenceOf(divergedAt, seeds)})`);
  if (diverged.length > 0)
    sentences.push(
      `Diverged (the loss became infinite or NaN, or ended above that of the untrained network): ${list(diverged)}.`,
    );
  if (figure.also === 'updates')
    sentences.unshift(...describeUpdates(lines.map(({ label, repeats }) => ({ label, result: repeats[0]! }))));
  return sentences.join(' ');
}

/** When a run diverged, and with how many of its seeds. */
export function divergenceOf(divergedAt: readonly number[], seeds: number): string {
  const step = `at step ${divergedAt[0]}`;
  return seeds === 1 ? step : `${step}, with ${divergedAt.length} of ${seeds} seeds`;
}

function describeUpdates(lines: readonly { label: string; result: TrainResult }[]): string[] {
  const shown = lines.filter(({ result }) => result.updates.length > 0);
  if (shown.length === 0) return [];
  const parts = shown.map(({ label, result: { updates } }) => {
    const largest = Math.max(...updates);
    return `${label}, the first step is ${(updates[0] as number).toExponential(2)} and the largest ${largest.toExponential(2)} (step ${updates.indexOf(largest) + 1})`;
  });
  return [`Size of the steps: ${parts.join('; ')}.`];
}

export function describeSweep(figure: SweepFigure, results: Results, classes: number): string {
  return [describeCurves(atBest(figure, results), results, classes), ...atTheEdge(figure, results)].join(' ');
}

/** A warning for each method whose best learning rate is the lowest or highest one tried: there may be a better one. */
function atTheEdge(figure: SweepFigure, results: Results): string[] {
  const edge = figure.sweeps
    .filter(({ jobs }) => jobs.length > 1)
    .filter((sweep) => [sweep.jobs[0], sweep.jobs.at(-1)].includes(chosenOf(figure, sweep, results)));
  return edge.length === 0
    ? []
    : [
        `Best at the lowest or highest learning rate tried, so that there may be a better one: ${list(edge.map(({ method }) => methods[method].name))}.`,
      ];
}

export function describeRanking(figure: SweepFigure, results: Results, validation: number): string {
  const rows = ranked(figure, results);
  const finished = rows.filter((row): row is Ranked & { best: Finished } => isFinished(row.best));
  const [first] = finished;
  if (first === undefined) return 'Every run diverged.';
  const last = finished.at(-1) as typeof first;
  const margin = chanceOf(first.best.accuracy, validation);
  const equals = finished.slice(1).filter(({ best }) => best.accuracy >= first.best.accuracy - margin);
  const told = rows.flatMap(({ name, atDefault }) => (atDefault === undefined ? [] : [{ name, ...atDefault }]));
  const diverged = told.filter((score) => !isFinished(score));
  return [
    `Highest: ${first.name} (${percent(first.best.accuracy)} at ${rate(first.best.lr)}); lowest: ${last.name} (${percent(last.best.accuracy)} at ${rate(last.best.lr)}).`,
    equals.length === 0
      ? ''
      : `Within ${(100 * margin).toFixed(1)} points of the highest, which may be by chance: ${list(equals.map(({ name }) => name))}.`,
    diverged.length === 0
      ? ''
      : `Diverged at the default learning rate: ${list(diverged.map(({ name, lr }) => `${name} (${rate(lr)})`))}.`,
    rows.length === finished.length
      ? ''
      : `Diverged at every learning rate: ${list(rows.filter(({ best }) => !isFinished(best)).map(({ name }) => name))}.`,
    ...describeBeside(finished),
    ...atTheEdge(figure, results),
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

type Finished = Scored & { readonly accuracy: number };
const isFinished = (score: Scored): score is Finished => score.accuracy !== null;

/** What half a decade beside the best learning rate costs. A run that diverged there has no accuracy to compare. */
function describeBeside(rows: readonly (Ranked & { best: Finished })[]): string[] {
  const [diverged, others] = [
    rows.filter(({ beside }) => !beside.every(isFinished)),
    rows.filter(({ beside }) => beside.length > 0 && beside.every(isFinished)),
  ];
  const cost = ({ best, beside }: (typeof rows)[number]): number =>
    best.accuracy - Math.min(...beside.map(({ accuracy }) => accuracy ?? 0));
  const points = (row: (typeof rows)[number]): string => `${row.name}: ${(100 * cost(row)).toFixed(1)} points`;
  const sentences: string[] = [];
  if (others.length > 1) {
    const { lowest, highest } = extremes(others, cost);
    sentences.push(
      `A learning rate half a decade beside the best one costs least accuracy with ${points(lowest)}, and most with ${points(highest)}.`,
    );
  }
  if (diverged.length > 0)
    sentences.push(`Half a decade beside the best one, some run diverged: ${list(diverged.map(({ name }) => name))}.`);
  return sentences;
}

export function describeDescent({ problems }: DescentFigure, results: Results): string {
  return problems
    .map((problem) => {
      const lowest = lowestValue(problem, results);
      const ends = problem.lines
        .map(({ label, jobs }) => ({ label, job: lowestOf(jobs, results) }))
        .map(({ label, job }) => ({
          label: job.lr === undefined ? label : `${label} at ${rate(job.lr)}`,
          gap: (results.get(job).values.at(-1) ?? Infinity) - lowest,
        }))
        .sort((a, b) => a.gap - b.gap);
      return `${problem.title}: the final gap is ${list(ends.map(({ label, gap }) => `${short(gap)} (${label})`))}.`;
    })
    .join(' ');
}

export function describeRange(figure: RangeFigure, results: Results): string {
  const suggestions = figure.jobs.map((job) => {
    const { suggestion } = results.get(job);
    return `${methods[job.method].name} ${Number.isFinite(suggestion) ? rate(Number(suggestion.toPrecision(2))) : 'none, the loss never fell'}`;
  });
  return `Suggested learning rates: ${list(suggestions)}.`;
}

export function describeEnsemble(bars: readonly Bar[]): string {
  const members = bars.filter(({ group }) => group === 'member').map((bar) => bar.validationAccuracy);
  if (members.length === 0) return 'Every member diverged.';
  const mean = members.reduce((a, b) => a + b) / members.length;
  const others = bars
    .filter(({ group }) => group !== 'member')
    .map(({ label, validationAccuracy }) => {
      const points = 100 * (validationAccuracy - mean);
      return `${label} ${points < 0 ? '−' : '+'}${Math.abs(points).toFixed(1)}`;
    });
  return `The members reach ${percent(Math.min(...members))} to ${percent(Math.max(...members))} validation accuracy, ${percent(mean)} on average. Difference from that average, in percentage points: ${list(others)}.`;
}
