import type { Bar } from './ensemble.js';
import type { CurvesFigure, DescentFigure, Line, RangeFigure, SweepFigure } from './figures.js';
import { type DescentJob, type Scores, type Settings, stepsPerEpoch, type TrainJob } from './job.js';
import { defaultLr, methods } from './methods.js';
import { atBest, finalOf, lowestOf, lowestValue, ranked } from './numbers.js';
import type { Results } from './pool.js';

/** A Vega-Lite specification; its own type needs the optional package. */
export type Spec = Readonly<Record<string, unknown>>;

/** One plot of a figure. */
export interface Panel {
  readonly title: string;
  readonly spec: Spec;
}

export interface LegendEntry {
  readonly label: string;
  readonly color: string;
  readonly dash: readonly number[];
  readonly diverged?: boolean;
}

// Okabe and Ito's palette, told apart with every kind of colour vision; without its yellow, too pale on white.
// The dash patterns tell lines apart without any colour.
const styles: readonly { color: string; dash: readonly number[] }[] = [
  { color: '#0072B2', dash: [1, 0] },
  { color: '#D55E00', dash: [8, 3] },
  { color: '#009E73', dash: [2, 2] },
  { color: '#CC79A7', dash: [8, 3, 2, 3] },
  { color: '#E69F00', dash: [12, 3, 2, 3, 2, 3] },
  { color: '#000000', dash: [4, 4] },
  { color: '#56B4E9', dash: [1, 0] },
];
const groupColors = { member: '#56B4E9', combined: '#0072B2', student: '#009E73', weights: '#E69F00' } as const;

/** Each line's look, the same in every panel of its figure. */
export function curveLegend(figure: CurvesFigure, results: Results): LegendEntry[] {
  const entries = legendOf(figure.lines.map((line) => line.label));
  return entries.map((entry, i) => ({
    ...entry,
    diverged: results.get((figure.lines[i] as Line).job).divergedAt !== null,
  }));
}

function legendOf(labels: readonly string[]): LegendEntry[] {
  return labels.map((label, i) => ({ label, ...(styles[i % styles.length] as (typeof styles)[number]) }));
}

/** What all panels share: they fill their cell, and the page's legend sets `focus` to bring one line out. */
const base = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  width: 'container',
  height: 250,
  autosize: { type: 'fit', contains: 'padding' },
  background: 'transparent',
  config: {
    font: 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif',
    view: { stroke: null },
    axis: {
      labelFontSize: 11,
      titleFontSize: 12,
      titleFontWeight: 'normal',
      labelColor: '#444',
      titleColor: '#222',
      gridColor: '#e6e6e6',
      domainColor: '#888',
      tickColor: '#888',
    },
  },
} as const;

const focus = { name: 'focus', value: '' };
const unlessFocused = (opacity: number, faded: number) => ({
  condition: { test: "focus === '' || datum.line === focus", value: opacity },
  value: faded,
});

interface Point {
  readonly line: string;
  readonly epoch: number;
  readonly value: number;
}

interface LinePanel {
  readonly title: string;
  readonly legend: readonly LegendEntry[];
  readonly x: { readonly title: string; readonly field: string; readonly scale?: object; readonly axis?: object };
  readonly y: { readonly title: string; readonly scale?: object; readonly axis?: object; readonly format: string };
  readonly points: readonly object[];
  /** Noisy values, drawn as faint dots behind. */
  readonly dots?: readonly object[];
  /** Where lines end because their run diverged. */
  readonly crosses?: readonly object[];
  /** Runs beside the lines, each a faint line of its own. */
  readonly faint?: readonly object[];
  readonly layers?: readonly object[];
}

function linePanel({
  title,
  legend,
  x,
  y,
  points,
  dots = [],
  crosses = [],
  faint = [],
  layers = [],
}: LinePanel): Panel {
  const color = {
    field: 'line',
    type: 'nominal',
    legend: null,
    scale: { domain: legend.map((e) => e.label), range: legend.map((e) => e.color) },
  };
  const strokeDash = {
    field: 'line',
    type: 'nominal',
    legend: null,
    scale: { domain: legend.map((e) => e.label), range: legend.map((e) => e.dash) },
  };
  const position = {
    x: {
      field: x.field,
      type: 'quantitative',
      title: x.title,
      scale: { nice: false, ...x.scale },
      axis: { grid: false, ...x.axis },
    },
    y: { field: 'value', type: 'quantitative', title: y.title, scale: y.scale ?? {}, axis: { ...y.axis } },
  };
  const tooltip = [
    { field: 'line', title: 'run' },
    { field: x.field, title: x.title.toLowerCase(), format: x.field === 'epoch' ? '.2f' : '.3~g' },
    { field: 'value', title: title.toLowerCase(), format: y.format },
  ];
  return {
    title,
    spec: {
      ...base,
      params: [focus],
      layer: [
        ...(dots.length === 0
          ? []
          : [
              {
                data: { values: dots },
                mark: { type: 'point', filled: true, size: 9, clip: true },
                encoding: { ...position, color, opacity: unlessFocused(0.3, 0.04) },
              },
            ]),
        ...(faint.length === 0
          ? []
          : [
              {
                data: { values: faint },
                mark: { type: 'line', strokeWidth: 1, clip: true },
                encoding: { ...position, color, detail: { field: 'run' }, opacity: unlessFocused(0.3, 0.05) },
              },
            ]),
        {
          data: { values: points },
          mark: { type: 'line', strokeWidth: 2, clip: true },
          encoding: { ...position, color, strokeDash, opacity: unlessFocused(1, 0.12) },
        },
        {
          // Invisible, and the nearest one shows itself under the pointer.
          data: { values: points },
          params: [{ name: 'near', select: { type: 'point', on: 'pointerover', clear: 'pointerout', nearest: true } }],
          mark: { type: 'point', filled: true, size: 50, clip: true },
          encoding: {
            ...position,
            color,
            tooltip,
            opacity: { condition: { param: 'near', empty: false, value: 1 }, value: 0 },
          },
        },
        ...(crosses.length === 0
          ? []
          : [
              {
                data: { values: crosses },
                mark: { type: 'text', text: '✕', fontSize: 15, fontWeight: 'bold' },
                encoding: { ...position, color, opacity: unlessFocused(1, 0.12) },
              },
            ]),
        ...layers,
      ],
    },
  };
}

const round = (value: number): number => Number(value.toPrecision(5));

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
  // A run that diverged is followed beyond its last scores, batch by batch, for as long as its loss was a number.
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
  // Where all lines end close together, that end is shown large.
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

/** 1e-3 and 2.5e-3, but 0, 1 and 10. */
const scientific = {
  labelExpr: "datum.value === 0 || datum.value >= 1 ? format(datum.value, '~g') : format(datum.value, '~e')",
};

function decades(from: number, to: number): number[] {
  const [low, high] = [Math.ceil(Math.log10(from)), Math.floor(Math.log10(to))];
  return Array.from({ length: high - low + 1 }, (_, i) => Number(`1e${low + i}`));
}

/**
 * Chosen by the lines alone; a mini-batch beyond it is cut off, and the caption tells how far it went. Linear from 0;
 * logarithmic where lines would lie on the axis: one went far up, or all end far below where they began.
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
        { ...at, mark: { type: 'rule', color: '#D55E00', strokeDash: [5, 3], strokeWidth: 1.5 } },
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

/** An axis of accuracies that does not waste its room on what lies far below the best. */
const accuracyFrom = (floor: number) => ({
  title: `Accuracy (%)${floor === 0 ? '' : `, from ${floor}`}`,
  scale: { domain: [floor, 100], nice: false },
});

/** A round number, some way below all accuracies. */
const floorBelow = (accuracies: readonly number[], margin: number): number =>
  Math.max(0, 10 * Math.floor((Math.min(...accuracies) - margin) / 10));

/** A family's classes: accuracy over learning rates, then the curves of each at its best. */
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

/** The families' colors, which the ranking shows. */
export function familyLegend(figure: SweepFigure): LegendEntry[] {
  const titles = [...new Set(figure.sweeps.map(({ family }) => family.title))];
  return legendOf(titles).map((entry) => ({ ...entry, dash: [1, 0] }));
}

/** All classes, the best first: each one's accuracy at every learning rate, and how much a learning rate beside the best costs. */
export function rankingPanels(figure: SweepFigure, results: Results): Panel[] {
  const rows = ranked(figure, results);
  const cells = rows.flatMap(({ name, family, best, scores }) =>
    scores.map(({ lr, accuracy }) => ({
      name,
      line: family.title,
      lr,
      from: lr / 10 ** 0.25,
      to: lr * 10 ** 0.25,
      accuracy: accuracy === null ? null : round(100 * accuracy),
      text: accuracy === null ? '✕' : (100 * accuracy).toFixed(0),
      best: lr === best.lr,
    })),
  );
  // Drawn last, so that no neighbour covers its frame.
  cells.sort((a, b) => Number(a.best) - Number(b.best));
  const defaults = rows.flatMap(({ name, family, method }) => {
    const lr = defaultLr(method);
    return lr === undefined ? [] : [{ name, line: family.title, lr }];
  });
  const dots = rows.map(({ name, family, best, nearby }) => ({
    name,
    line: family.title,
    lr: best.lr,
    accuracy: round(100 * best.accuracy),
    worst: round(100 * Math.min(...nearby)),
  }));
  const low = floorBelow(
    dots.map(({ accuracy }) => accuracy),
    10,
  );
  const ends = [...cells.flatMap(({ from, to }) => [from, to]), ...defaults.map(({ lr }) => lr)];
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const legend = familyLegend(figure);
  const y = {
    field: 'name',
    type: 'nominal',
    sort: rows.map(({ name }) => name),
    title: null,
    axis: { labelLimit: 170, ticks: false, domain: false, labelPadding: 6 },
  };
  const x = {
    type: 'quantitative',
    title: 'Learning rate',
    scale: { type: 'log', nice: false, domain: [least, most] },
    axis: { ...scientific, values: decades(least, most), grid: false },
  };
  const color = {
    field: 'line',
    type: 'nominal',
    legend: null,
    scale: { domain: legend.map((e) => e.label), range: legend.map((e) => e.color) },
  };
  const accuracyAxis = { type: 'quantitative', ...accuracyFrom(low) };
  const shared = { ...base, height: 21 * rows.length + 45, params: [focus] };
  const tooltip = [
    { field: 'name', title: 'class' },
    { field: 'lr', title: 'learning rate', format: '~g' },
    { field: 'accuracy', title: 'validation accuracy', format: '.1f' },
  ];
  return [
    {
      title: 'Final validation accuracy (%) at each learning rate',
      spec: {
        ...shared,
        layer: [
          {
            data: { values: cells },
            mark: { type: 'rect', height: { band: 0.92 } },
            encoding: {
              y,
              x: { ...x, field: 'from' },
              x2: { field: 'to' },
              opacity: unlessFocused(1, 0.15),
              color: {
                condition: { test: 'datum.accuracy === null', value: '#fbe3d6' },
                field: 'accuracy',
                type: 'quantitative',
                legend: null,
                // What lies near the top is told apart.
                scale: { type: 'pow', exponent: 4, scheme: 'blues', domain: [0, 100] },
              },
              stroke: { condition: { test: 'datum.best', value: '#000' }, value: null },
              tooltip,
            },
          },
          {
            data: { values: cells },
            mark: { type: 'text', fontSize: 11 },
            encoding: {
              y,
              x: { ...x, field: 'lr' },
              text: { field: 'text' },
              opacity: unlessFocused(1, 0.15),
              color: { condition: { test: 'datum.accuracy > 80', value: '#fff' }, value: '#222' },
            },
          },
          {
            data: { values: defaults },
            mark: { type: 'point', shape: 'triangle-up', filled: true, color: '#D55E00', size: 32, yOffset: 8 },
            encoding: { y, x: { ...x, field: 'lr' }, opacity: unlessFocused(1, 0.15) },
          },
        ],
      },
    },
    {
      title: 'At the best learning rate, down to the worse of those beside it',
      spec: {
        ...shared,
        data: { values: dots },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 2, clip: true },
            encoding: {
              y,
              x: { ...accuracyAxis, field: 'worst' },
              x2: { field: 'accuracy' },
              color,
              opacity: unlessFocused(0.6, 0.1),
            },
          },
          {
            mark: { type: 'point', filled: true, size: 70, opacity: 1 },
            encoding: { y, x: { ...accuracyAxis, field: 'accuracy' }, color, opacity: unlessFocused(1, 0.15), tooltip },
          },
          {
            mark: { type: 'text', align: 'left', dx: 8, fontSize: 11, color: '#222' },
            encoding: {
              y,
              x: { ...accuracyAxis, field: 'accuracy' },
              text: { field: 'accuracy', format: '.1f' },
              opacity: unlessFocused(1, 0.15),
            },
          },
        ],
      },
    },
  ];
}

export function descentLegend(figure: DescentFigure): LegendEntry[] {
  return legendOf(figure.problems[0]!.lines.map((line) => line.label));
}

/** Of each problem, how far above the lowest value each method is after each pass. */
export function descentPanels(figure: DescentFigure, results: Results): Panel[] {
  const legend = descentLegend(figure);
  return figure.problems.map((problem) => {
    const lowest = lowestValue(problem, results);
    const gaps = (line: string, job: DescentJob) =>
      results.get(job).values.flatMap((value, pass) =>
        // On a logarithmic axis 0 lies nowhere.
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
    panel(
      'Validation error',
      'Error (%), what is missing to 100% accuracy',
      '.1f',
      (bar) => 100 * (1 - bar.validationAccuracy),
    ),
  ];
}
