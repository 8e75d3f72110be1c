import type { Bar } from './ensemble.js';
import type { CurvesFigure, RangeFigure } from './figures.js';
import { rate } from './figures.js';
import { methods, type TrainResult } from './job.js';
import type { Results } from './pool.js';

// What a figure shows, in words: every number and every name in them is read from the results.

/** 0.9312 → 93.1%. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}%`;
}

/** Three significant digits, readable at any size. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) return value.toExponential(2);
  return size < 1000 ? value.toPrecision(3) : value.toFixed(0);
}

/** How far accuracies measured on `count` images may lie apart by chance: two standard errors of one of them. */
export function chance(accuracy: number, count: number): string {
  return `${(200 * Math.sqrt((accuracy * (1 - accuracy)) / count)).toFixed(1)} points`;
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
      `The loss of a mini-batch rose beyond twice the first one's, and may lie above the axis: ${list(spikes.map(({ label, result }) => `${label} (to ${short(Math.max(...result.losses))})`))}.`,
    );
  }
  const diverged = lines
    .filter(({ result }) => result.divergedAt !== null)
    .map(({ label, result }) => `${label} (at step ${result.divergedAt})`);
  if (diverged.length > 0)
    sentences.push(`Diverged, so that the loss was no longer a finite number: ${list(diverged)}.`);
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

export function describeRange(figure: RangeFigure, results: Results): string {
  const suggestions = figure.jobs.map((job) => {
    const { suggestion } = results.get(job);
    return `${methods[job.method]} ${Number.isFinite(suggestion) ? rate(Number(suggestion.toPrecision(2))) : 'none, the loss fell nowhere'}`;
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
  return `The members alone reach ${percent(Math.min(...members))} to ${percent(Math.max(...members))} validation accuracy, ${percent(mean)} on average. Against that average, in percentage points: ${list(others)}.`;
}
