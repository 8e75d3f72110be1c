import type { Bar } from './ensemble.js';
import type { CurvesFigure, DescentFigure, RangeFigure, SweepFigure } from './figures.js';
import { rate } from './figures.js';
import type { TrainResult } from './job.js';
import { methods } from './methods.js';
import { atBest, bestOf, lowestOf, lowestValue, type Ranked, ranked } from './numbers.js';
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
  const lines = figure.lines.map(({ label, job }) => ({ label, result: results.get(job) }));
  const finished = lines.flatMap(({ label, result }) => {
    const last = result.divergedAt === null ? result.scores.at(-1) : undefined;
    return last === undefined ? [] : { label, result, last };
  });
  const sentences: string[] = [];
  if (finished.length > 1) {
    const accuracy = extremes(finished, ({ last }) => last.validation.accuracy);
    const loss = extremes(finished, ({ last }) => last.train.loss);
    sentences.push(
      `Final validation accuracy is highest for ${accuracy.highest.label} (${percent(accuracy.highest.last.validation.accuracy)}) and lowest for ${accuracy.lowest.label} (${percent(accuracy.lowest.last.validation.accuracy)}).`,
      `Final training loss is lowest for ${loss.lowest.label} (${short(loss.lowest.last.train.loss)}).`,
    );
  }
  const nearChance = finished.filter(({ last }) => last.train.accuracy < 1.5 / classes).map(({ label }) => label);
  if (nearChance.length > 0)
    sentences.push(`No better than chance on the training images at the end: ${list(nearChance)}.`);
  const spikes = finished.filter(({ result }) => Math.max(...result.losses) > 2 * (result.losses[0] as number));
  if (spikes.length > 0) {
    sentences.push(
      `The loss of a mini-batch rose above twice the first loss, and may be outside the axis: ${list(spikes.map(({ label, result }) => `${label} (to ${short(Math.max(...result.losses))})`))}.`,
    );
  }
  const diverged = lines
    .filter(({ result }) => result.divergedAt !== null)
    .map(({ label, result }) => `${label} (at step ${result.divergedAt})`);
  if (diverged.length > 0) sentences.push(`Diverged (the loss became infinite or NaN): ${list(diverged)}.`);
  if (figure.also === 'updates') sentences.unshift(...describeUpdates(lines));
  return sentences.join(' ');
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
function atTheEdge({ sweeps }: SweepFigure, results: Results): string[] {
  const edge = sweeps
    .filter(({ jobs }) => jobs.length > 1)
    .filter((sweep) => [sweep.jobs[0], sweep.jobs.at(-1)].includes(bestOf(sweep, results)));
  return edge.length === 0
    ? []
    : [
        `Best at the lowest or highest learning rate tried, so that there may be a better one: ${list(edge.map(({ method }) => methods[method].name))}.`,
      ];
}

export function describeRanking(figure: SweepFigure, results: Results, validation: number): string {
  const rows = ranked(figure, results);
  const [first] = rows;
  if (first === undefined || first.best.accuracy === 0) return 'Every run diverged.';
  const margin = chanceOf(first.best.accuracy, validation);
  const equals = rows.slice(1).filter(({ best }) => best.accuracy >= first.best.accuracy - margin);
  const last = rows.at(-1) as Ranked;
  const cost = ({ best, nearby }: Ranked): number => best.accuracy - Math.min(...nearby);
  const { lowest, highest } = extremes(rows, cost);
  const points = (row: Ranked): string => `${row.name}: ${(100 * cost(row)).toFixed(1)} points`;
  return [
    `Highest: ${first.name} (${percent(first.best.accuracy)} at ${rate(first.best.lr)}); lowest: ${last.name} (${percent(last.best.accuracy)} at ${rate(last.best.lr)}).`,
    equals.length === 0
      ? ''
      : `Within ${(100 * margin).toFixed(1)} points of the highest, which may be by chance: ${list(equals.map(({ name }) => name))}.`,
    `A learning rate half a decade beside the best one costs least accuracy with ${points(lowest)}, and most with ${points(highest)}.`,
    ...atTheEdge(figure, results),
  ].join(' ');
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
