import { decades } from '../report/charts.js';
import type { Bar } from './ensemble.js';
import type { DescentFigure, RangeFigure } from './figures.js';
import type { DescentJob } from './job.js';
import { lookOf } from './looks.js';
import { methods } from './methods.js';
import { lowestOf, lowestValue } from './outcomes.js';
import { base, type LegendEntry, linePanel, type Panel, round, scientific } from './panel.js';
import type { Results } from './pool.js';

const groupColors = {
  member: 'var(--cyan)',
  combined: 'var(--blue)',
  student: 'var(--green)',
  weights: 'var(--amber)',
} as const;

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
      legend: [{ label: name, ...lookOf(job.method) }],
      x: { title: 'Learning rate', field: 'lr', ...axis },
      y: { title: 'Mini-batch loss (nats)', scale: { domain: [0, top] }, format: '.3~g' },
      points,
      layers: [
        { ...at, mark: { type: 'rule', color: 'var(--soft)', strokeDash: [5, 3], strokeWidth: 1.5 } },
        {
          ...at,
          mark: {
            type: 'text',
            text: `suggested: ${suggestion.toExponential(1)}`,
            color: 'var(--ink)',
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

export function descentLegend(figure: DescentFigure): LegendEntry[] {
  return figure.problems[0]!.lines.map(({ label, look }) => ({ label, ...look }));
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
      x: { title: 'Passes over the data, or as much work', field: 'pass', scale: { domain: [0, passes] } },
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
  const panel = (
    title: string,
    axis: string,
    format: string,
    values: (bar: Bar) => number | null,
    ticks: object = {},
  ): Panel => {
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
      scale: { domain: [0, 1.35 * most], nice: false },
      axis: { tickCount: 5, ...ticks },
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
                calculate: `datum.value === null ? 'none' : format(datum.value, '${format}')`,
                as: 'text',
              },
              { calculate: 'datum.value === null ? 0 : datum.value', as: 'end' },
            ],
            mark: { type: 'text', align: 'left', dx: 4, fontSize: 12, color: 'var(--ink)' },
            encoding: { x: { ...x, field: 'end' }, y, text: { field: 'text' } },
          },
        ],
      },
    };
  };
  // The axis is longer than the bars, to leave room for their numbers.
  const percents = { values: [0, 20, 40, 60, 80, 100] };
  return [
    panel('Training loss', 'Cross-entropy (nats)', '.3f', (bar) => bar.loss),
    panel('Training accuracy', 'Accuracy (%)', '.1f', (bar) => 100 * bar.trainAccuracy, percents),
    panel('Validation accuracy', 'Accuracy (%)', '.1f', (bar) => 100 * bar.validationAccuracy, percents),
    panel('Validation error', 'Error (%)', '.1f', (bar) => 100 * (1 - bar.validationAccuracy)),
  ];
}
