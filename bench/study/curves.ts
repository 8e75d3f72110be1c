import { decades, logTicks } from '../report/charts.js';
import type { CurvesFigure, SweepFigure } from './figures.js';
import type { Scores, Settings, TrainJob } from './job.js';
import { accuracyOf, atBest, outcomeOf, type Spread, spreadOf } from './outcomes.js';
import {
  accuracyFrom,
  banded,
  floorBelow,
  type LegendEntry,
  linePanel,
  type Panel,
  round,
  scientific,
} from './panel.js';
import type { Results } from './pool.js';
import { stepsPerEpoch } from './settings.js';

/** The look of each line, the same in every panel of its figure, and whether its run diverged. */
export function curveLegend(figure: CurvesFigure, results: Results): LegendEntry[] {
  return figure.lines.map(({ label, look, job }) => {
    const { seeds, divergedAt } = outcomeOf(job, results);
    const diverged = seeds === 1 ? 'diverged' : `${divergedAt.length} of ${seeds} seeds diverged`;
    return { label, ...look, diverged: divergedAt.length === 0 ? undefined : diverged };
  });
}

interface Point {
  readonly line: string;
  readonly epoch: number;
  readonly value: number;
}

/** Points of each line over the epochs: its mean over the seeds, with the range. */
function scoredPoints(figure: CurvesFigure, results: Results, settings: Settings, value: (scores: Scores) => number) {
  return figure.lines.flatMap(({ label, job }) => {
    const repeats = results.repeats(job);
    // The line ends where the first seed diverges.
    const common = Math.min(...repeats.map(({ scores }) => scores.length));
    return repeats[0]!.scores.slice(0, common).map(({ step }, i) => {
      const spread: Spread = spreadOf(repeats.map(({ scores }) => value(scores[i]!)));
      return { line: label, epoch: step / stepsPerEpoch(settings, job.method), ...banded(spread) };
    });
  });
}

/** The losses of mini-batches of one seed: the first one, or the first that diverged. */
function batchPoints({ lines }: CurvesFigure, results: Results, settings: Settings, which: 'first' | 'diverged') {
  return lines.flatMap(({ label, job }): Point[] => {
    const repeats = results.repeats(job);
    const early = [...repeats].sort((a, b) => (a.divergedAt ?? Infinity) - (b.divergedAt ?? Infinity))[0]!;
    const result = which === 'first' ? repeats[0]! : early;
    if (which === 'diverged' && result.divergedAt === null) return [];
    const perEpoch = stepsPerEpoch(settings, job.method);
    return result.losses.map((loss, step) => ({ line: label, epoch: step / perEpoch, value: round(loss) }));
  });
}

export function curvePanels(figure: CurvesFigure, results: Results, settings: Settings): Panel[] {
  const legend = curveLegend(figure, results);
  const repeated = settings.seeds > 1;
  const diverged = new Set(legend.filter((entry) => entry.diverged !== undefined).map((entry) => entry.label));
  const lastOf = <P extends Point>(points: readonly P[]): P[] =>
    [...diverged].flatMap((line) => points.filter((point) => point.line === line).at(-1) ?? []);
  const scored = scoredPoints(figure, results, settings, (scores) => scores.train.loss);
  const lastScored = new Map(lastOf(scored).map(({ line, epoch }) => [line, epoch]));
  // A run that diverged is drawn beyond its last scores with the losses of its mini-batches.
  const losses: Point[] = [
    ...scored,
    ...batchPoints(figure, results, settings, 'diverged').filter(
      ({ line, epoch }) => epoch > (lastScored.get(line) ?? -1),
    ),
  ];
  const epochs = {
    title: 'Epoch',
    field: 'epoch',
    scale: { domain: [0, settings.epochs] },
    axis: { values: Array.from({ length: settings.epochs + 1 }, (_, i) => i), format: 'd' },
  };
  // If all runs end above 85%, the axis starts at 70%, so that the ends are far enough apart to see.
  const floor = figure.lines.every(({ job }) => (accuracyOf(job, results) ?? 0) > 0.85) ? 70 : 0;
  const accuracy = (title: string, value: (scores: Scores) => number): Panel => {
    const points = scoredPoints(figure, results, settings, (scores) => 100 * value(scores));
    return linePanel({
      title,
      legend,
      x: epochs,
      y: { ...accuracyFrom(floor), format: '.1f' },
      points,
      bands: repeated ? points : [],
      crosses: lastOf(points),
    });
  };
  return [
    ...morePanels(figure, results, settings, legend, epochs),
    linePanel({
      title: 'Training loss',
      legend,
      x: epochs,
      y: { ...lossAxis(losses), format: '.3~g' },
      points: losses,
      bands: repeated ? scored : [],
      dots: batchPoints(figure, results, settings, 'first'),
      crosses: lastOf(losses),
    }),
    accuracy('Training accuracy', (scores) => scores.train.accuracy),
    accuracy('Validation accuracy', (scores) => scores.validation.accuracy),
  ];
}

/** The panel that `also` of a figure asks for, of the first seed. */
function morePanels(
  { lines, also }: CurvesFigure,
  results: Results,
  settings: Settings,
  legend: readonly LegendEntry[],
  epochs: Parameters<typeof linePanel>[0]['x'],
): Panel[] {
  if (also === 'lr') {
    const points = lines.flatMap(({ label, job }) =>
      results.get(job).lrs.map((lr, step) => ({
        line: label,
        epoch: round(step / stepsPerEpoch(settings, job.method)),
        value: round(lr),
      })),
    );
    const highest = Math.max(...points.map(({ value }) => value));
    const scale = { domain: [0, 1.05 * highest], nice: false };
    const y = { title: 'Learning rate', format: '.3~g', scale, axis: { format: '~g' } };
    return [linePanel({ title: 'Learning rate', legend, x: epochs, y, points })];
  }
  if (also === 'updates') {
    const first = Math.min(60, ...lines.map(({ job }) => results.get(job).updates.length));
    const points = lines.flatMap(({ label, job }) =>
      results
        .get(job)
        .updates.slice(0, first)
        .map((value, i) => ({ line: label, step: i + 1, value: round(value) })),
    );
    const x = { title: 'Step', field: 'step', scale: { domain: [1, first] }, axis: { tickCount: 6 } };
    const y = { title: 'RMS change of a parameter', format: '.3~g', axis: scientific };
    return [linePanel({ title: 'Size of the step', legend, x, y, points })];
  }
  return [];
}

/**
 * The axis of losses, chosen by the lines alone: mini-batches beyond it are cut off, and the caption gives their maximum.
 * It is linear from 0, but logarithmic if a loss exceeds 10 or all lines end below a twentieth of the highest loss.
 */
function lossAxis(points: readonly Point[]): { title: string; scale: object; axis?: object } {
  const values = points.map((point) => point.value);
  const ends = [...new Map(points.map((point) => [point.line, point.value])).values()];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (high < 10 && ends.some((value) => value > high / 20)) {
    return { title: 'Cross-entropy (nats)', scale: { domain: [0, 1.1 * high], nice: false } };
  }
  const between = decades(low, high);
  return {
    title: 'Cross-entropy (nats), log scale',
    scale: { type: 'log', nice: false, domain: [low / 1.3, high * 1.3] },
    axis: {
      values:
        between.length > 3 ? between : decades(low / 10, high).flatMap((decade) => [decade, 2 * decade, 5 * decade]),
      labelExpr: "format(datum.value, datum.value < 1e5 ? '~g' : '~e')",
    },
  };
}

/** The methods of a family: accuracy over learning rates, then the curves of each method at its best learning rate. */
export function sweepPanels(figure: SweepFigure, results: Results, settings: Settings): Panel[] {
  const best = atBest(figure, results);
  const points = figure.sweeps.flatMap(({ jobs }, i) =>
    jobs.map((job) => {
      const { final } = outcomeOf(job, results);
      const accuracy = final?.validationAccuracy ?? { mean: 0, low: 0, high: 0 };
      return {
        line: best.lines[i]!.label,
        lr: job.lr,
        ...banded({ mean: 100 * accuracy.mean, low: 100 * accuracy.low, high: 100 * accuracy.high }),
        diverged: final === undefined,
      };
    }),
  );
  const lrs = points.map(({ lr }) => lr);
  const [low, high] = [Math.min(...lrs), Math.max(...lrs)];
  const highest = (job: TrainJob): number => 100 * (accuracyOf(job, results) ?? 0);
  const floor = floorBelow(
    best.lines.map(({ job }) => highest(job)),
    20,
  );
  const legend = curveLegend(best, results);
  const [loss, , accuracy] = curvePanels(best, results, settings) as [Panel, Panel, Panel];
  const finished = points.filter(({ diverged }) => !diverged);
  return [
    linePanel({
      title: 'Final validation accuracy over learning rates',
      legend,
      x: {
        title: 'Learning rate',
        field: 'lr',
        scale: { type: 'log', nice: false, domain: [low / 1.2, high * 1.2] },
        axis: { ...scientific, values: logTicks(low, high) },
      },
      y: { ...accuracyFrom(floor), format: '.1f' },
      points: finished,
      bands: settings.seeds > 1 ? finished : [],
      crosses: points.filter(({ diverged }) => diverged).map((point) => ({ ...point, value: floor })),
    }),
    { ...loss, title: `${loss.title} at the best learning rate` },
    { ...accuracy, title: `${accuracy.title} at the best learning rate` },
  ];
}
