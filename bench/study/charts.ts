import { colors, decades } from '../report/charts.js';
import type { Bar } from './ensemble.js';
import type { CurvesFigure, DescentFigure, Line, RangeFigure, SweepFigure } from './figures.js';
import type { DescentJob, Scores, Settings, TrainJob } from './job.js';
import { methods } from './methods.js';
import { atBest, finalOf, lowestOf, lowestValue } from './numbers.js';
import {
  accuracyFrom,
  base,
  floorBelow,
  type LegendEntry,
  legendOf,
  linePanel,
  type Panel,
  round,
  scientific,
} from './panel.js';
import type { Results } from './pool.js';
import { stepsPerEpoch } from './settings.js';

const groupColors = {
  member: colors.sky,
  combined: colors.blue,
  student: colors.green,
  weights: colors.orange,
} as const;

/** The colour and dash pattern of each line, the same in every panel of its figure. */
export function curveLegend(figure: CurvesFigure, results: Results): LegendEntry[] {
  const entries = legendOf(figure.lines.map((line) => line.label));
  return entries.map((entry, i) => ({
    ...entry,
    diverged: results.get((figure.lines[i] as Line).job).divergedAt !== null,
  }));
}

interface Point {
  readonly line: string;
  readonly epoch: number;
  readonly value: number;
}

export function curvePanels(figure: CurvesFigure, results: Results, settings: Settings): Panel[] {
  const legend = curveLegend(figure, results);
  const lines = figure.lines.map(({ label, job }) => ({
    line: label,
    result: results.get(job),
    perEpoch: stepsPerEpoch(settings, job.method),
  }));
  const scored = (value: (scores: Scores) => number): Point[] =>
    lines.flatMap(({ line, result, perEpoch }) =>
      result.scores.map((scores) => ({ line, epoch: scores.step / perEpoch, value: round(value(scores)) })),
    );
  const batchLosses: Point[] = lines.flatMap(({ line, result, perEpoch }) =>
    result.losses.map((loss, step) => ({ line, epoch: step / perEpoch, value: round(loss) })),
  );
  // A run that diverged is drawn beyond its last scores with the losses of its mini-batches.
  const diverged = new Set(legend.filter((entry) => entry.diverged).map((entry) => entry.label));
  const lastOf = (points: readonly Point[]): Point[] =>
    [...diverged].flatMap((line) => points.filter((point) => point.line === line).at(-1) ?? []);
  const scoredLosses = scored((scores) => scores.train.loss);
  const lastScored = new Map(lastOf(scoredLosses).map(({ line, epoch }) => [line, epoch]));
  const losses = [
    ...scoredLosses,
    ...batchLosses.filter(({ line, epoch }) => epoch > (lastScored.get(line) ?? Infinity)),
  ];
  const epochs = {
    title: 'Epoch',
    field: 'epoch',
    scale: { domain: [0, settings.epochs] },
    axis: { values: Array.from({ length: settings.epochs + 1 }, (_, i) => i), format: 'd' },
  };
  // If all runs end above 85%, the axis starts at 70%, so that the ends are far enough apart to see.
  const floor = lines.every(({ result }) => (finalOf(result)?.validation.accuracy ?? 0) > 0.85) ? 70 : 0;
  const accuracy = (title: string, value: (scores: Scores) => number): Panel =>
    linePanel({
      title,
      legend,
      x: epochs,
      y: { ...accuracyFrom(floor), format: '.1f' },
      points: scored((scores) => 100 * value(scores)),
      crosses: lastOf(scored((scores) => 100 * value(scores))),
    });
  const panels = [
    linePanel({
      title: 'Training loss',
      legend,
      x: epochs,
      y: { ...lossAxis(losses), format: '.3~g' },
      points: losses,
      dots: batchLosses,
      crosses: lastOf(losses),
    }),
    accuracy('Training accuracy', (scores) => scores.train.accuracy),
    accuracy('Validation accuracy', (scores) => scores.validation.accuracy),
  ];
  if (figure.also === 'lr') {
    const points = lines.flatMap(({ line, result, perEpoch }) =>
      result.lrs.map((lr, step) => ({ line, epoch: round(step / perEpoch), value: round(lr) })),
    );
    panels.unshift(
      linePanel({
        title: 'Learning rate',
        legend,
        x: epochs,
        y: { title: 'Learning rate', format: '.3~g', axis: { format: '~g' } },
        points,
      }),
    );
  }
  if (figure.also === 'updates') {
    const first = Math.min(60, ...lines.map(({ result }) => result.updates.length));
    const points = lines.flatMap(({ line, result }) =>
      result.updates.slice(0, first).map((value, i) => ({ line, step: i + 1, value: round(value) })),
    );
    panels.unshift(
      linePanel({
        title: 'Size of the step',
        legend,
        x: { title: 'Step', field: 'step', scale: { domain: [1, first] }, axis: { tickCount: 6 } },
        y: { title: 'RMS change of a parameter', format: '.3~g', axis: scientific },
        points,
      }),
    );
  }
  return panels;
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

export function rangePanels(figure: RangeFigure, results: Results): Panel[] {
  return figure.jobs.map((job) => {
    const name = methods[job.method].name;
    const { lrs, losses, suggestion } = results.get(job);
    const points = losses.flatMap((loss, i) =>
      Number.isFinite(loss) ? { line: name, lr: round(lrs[i] as number), value: round(loss) } : [],
    );
    const top = 1.5 * (losses[0] as number);
    const axis = {
      scale: { type: 'log', nice: false, domain: [job.from, job.to] },
      axis: { ...scientific, values: decades(job.from, job.to) },
    };
    const at = {
      data: { values: Number.isFinite(suggestion) ? [{ lr: suggestion }] : [] },
      encoding: { x: { field: 'lr', type: 'quantitative', ...axis } },
    };
    return linePanel({
      title: name,
      legend: legendOf([name]),
      x: { title: 'Learning rate', field: 'lr', ...axis },
      y: { title: 'Mini-batch loss (nats)', scale: { domain: [0, top] }, format: '.3~g' },
      points,
      layers: [
        { ...at, mark: { type: 'rule', color: colors.vermilion, strokeDash: [5, 3], strokeWidth: 1.5 } },
        {
          ...at,
          mark: {
            type: 'text',
            text: `suggested: ${suggestion.toExponential(1)}`,
            color: '#A84800',
            align: 'right',
            dx: -5,
            fontSize: 12,
            y: 10,
          },
        },
      ],
    });
  });
}

/** The methods of a family: accuracy over learning rates, then the curves of each method at its best learning rate. */
export function sweepPanels(figure: SweepFigure, results: Results, settings: Settings): Panel[] {
  const best = atBest(figure, results);
  const accuracyOf = (job: TrainJob): number => round(100 * (finalOf(results.get(job))?.validation.accuracy ?? 0));
  const points = figure.sweeps.flatMap(({ jobs }, i) =>
    jobs.map((job) => ({
      line: best.lines[i]!.label,
      lr: job.lr,
      value: accuracyOf(job),
      diverged: results.get(job).divergedAt !== null,
    })),
  );
  const lrs = points.map(({ lr }) => lr);
  const [low, high] = [Math.min(...lrs), Math.max(...lrs)];
  const floor = floorBelow(
    best.lines.map(({ job }) => accuracyOf(job)),
    20,
  );
  const legend = curveLegend(best, results);
  const [loss, , accuracy] = curvePanels(best, results, settings) as [Panel, Panel, Panel];
  return [
    linePanel({
      title: 'Final validation accuracy over learning rates',
      legend,
      x: {
        title: 'Learning rate',
        field: 'lr',
        scale: { type: 'log', nice: false, domain: [low / 1.2, high * 1.2] },
        axis: { ...scientific, values: decades(low, high) },
      },
      y: { ...accuracyFrom(floor), format: '.1f' },
      points: points.filter(({ diverged }) => !diverged),
      crosses: points.filter(({ diverged }) => diverged).map((point) => ({ ...point, value: floor })),
    }),
    { ...loss, title: `${loss.title} at the best learning rate` },
    { ...accuracy, title: `${accuracy.title} at the best learning rate` },
  ];
}

export function descentLegend(figure: DescentFigure): LegendEntry[] {
  return legendOf(figure.problems[0]!.lines.map((line) => line.label));
}

/** For each problem, the gap between each method's value after a pass and the lowest value found. */
export function descentPanels(figure: DescentFigure, results: Results): Panel[] {
  const legend = descentLegend(figure);
  return figure.problems.map((problem) => {
    const lowest = lowestValue(problem, results);
    const gaps = (line: string, job: DescentJob) =>
      results.get(job).values.flatMap((value, pass) =>
        // A logarithmic axis has no 0.
        value > lowest ? [{ line, run: `${line} ${job.lr}`, pass, value: round(value - lowest) }] : [],
      );
    const points = problem.lines.flatMap(({ label, jobs }) => gaps(label, lowestOf(jobs, results)));
    const faint = problem.lines.flatMap(({ label, jobs }) =>
      jobs.filter((job) => job !== lowestOf(jobs, results)).flatMap((job) => gaps(label, job)),
    );
    const values = points.map((point) => point.value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const { passes } = problem.lines[0]!.jobs[0]!;
    return linePanel({
      title: problem.title,
      legend,
      x: { title: 'Effective passes', field: 'pass', scale: { domain: [0, passes] } },
      y: {
        title: 'Gap to the lowest value, log scale',
        scale: { type: 'log', nice: false, domain: [low / 1.3, high * 1.5] },
        axis: { ...scientific, values: decades(low / 1.3, high * 1.5) },
        format: '.3~g',
      },
      points,
      faint,
    });
  });
}

export function ensemblePanels(bars: readonly Bar[]): Panel[] {
  const panel = (title: string, axis: string, format: string, values: (bar: Bar) => number | null): Panel => {
    const rows = bars.map((bar) => ({ label: bar.label, group: bar.group, value: values(bar) }));
    const most = Math.max(...rows.map((row) => row.value ?? 0));
    const y = {
      field: 'label',
      type: 'nominal',
      sort: bars.map((bar) => bar.label),
      title: null,
      axis: { labelLimit: 170, ticks: false, domain: false, labelPadding: 6 },
    };
    const x = {
      field: 'value',
      type: 'quantitative',
      title: axis,
      scale: { domain: [0, 1.18 * most], nice: false },
      axis: { tickCount: 5 },
    };
    return {
      title,
      spec: {
        ...base,
        height: 24 * bars.length + 45,
        data: { values: rows },
        layer: [
          {
            mark: { type: 'bar', height: { band: 0.72 } },
            encoding: {
              x,
              y,
              color: {
                field: 'group',
                type: 'nominal',
                legend: null,
                scale: { domain: Object.keys(groupColors), range: Object.values(groupColors) },
              },
            },
          },
          {
            transform: [
              {
                calculate: `datum.value === null ? 'none: a vote has no probabilities' : format(datum.value, '${format}')`,
                as: 'text',
              },
              { calculate: 'datum.value === null ? 0 : datum.value', as: 'end' },
            ],
            mark: { type: 'text', align: 'left', dx: 4, fontSize: 12, color: '#222' },
            encoding: { x: { ...x, field: 'end' }, y, text: { field: 'text' } },
          },
        ],
      },
    };
  };
  return [
    panel('Training loss', 'Cross-entropy (nats)', '.3f', (bar) => bar.loss),
    panel('Training accuracy', 'Accuracy (%)', '.1f', (bar) => 100 * bar.trainAccuracy),
    panel('Validation accuracy', 'Accuracy (%)', '.1f', (bar) => 100 * bar.validationAccuracy),
    panel('Validation error', 'Error (%): 100% minus the accuracy', '.1f', (bar) => 100 * (1 - bar.validationAccuracy)),
  ];
}
