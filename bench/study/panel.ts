import { config, type Spec, schema } from '../report/charts.js';
import type { Look } from './looks.js';
import type { Spread } from './outcomes.js';

/** One plot of a figure. */
export interface Panel {
  readonly title: string;
  readonly spec: Spec;
}

export interface LegendEntry extends Look {
  readonly label: string;
  /** What the legend says beside the label of a run that diverged. */
  readonly diverged?: string | undefined;
}

/** What all panels share. They fill their cell of the page. */
export const base = {
  $schema: schema,
  width: 'container',
  height: 250,
  autosize: { type: 'fit', contains: 'padding' },
  background: 'transparent',
  config: {
    ...config,
    axis: {
      ...config.axis,
      gridColor: 'var(--grid)',
      domainColor: 'var(--axis)',
      tickColor: 'var(--axis)',
      labelFontSize: 11,
      titleFontSize: 12,
      labelColor: 'var(--soft)',
      titleColor: 'var(--ink)',
    },
  },
} as const;

/** The page's legend sets this signal to the line to highlight. */
export const focus = { name: 'focus', value: '' };

export const unlessFocused = (opacity: number, faded: number) => ({
  condition: { test: "focus === '' || datum.line === focus", value: opacity },
  value: faded,
});

export interface LinePanel {
  readonly title: string;
  readonly legend: readonly LegendEntry[];
  readonly x: { readonly title: string; readonly field: string; readonly scale?: object; readonly axis?: object };
  readonly y: { readonly title: string; readonly scale?: object; readonly axis?: object; readonly format: string };
  readonly points: readonly object[];
  /** The range of each line over the seeds, drawn as an area. */
  readonly bands?: readonly object[];
  /** Noisy values, drawn as faint dots behind the lines. */
  readonly dots?: readonly object[];
  /** The ends of runs that diverged. */
  readonly crosses?: readonly object[];
  /** Further runs, drawn as faint lines. */
  readonly faint?: readonly object[];
  readonly layers?: readonly object[];
}

/** A layer of marks for these values; none without values. */
const layer = (values: readonly object[], marks: object): object[] =>
  values.length === 0 ? [] : [{ data: { values }, ...marks }];

export function linePanel({
  title,
  legend,
  x,
  y,
  points,
  bands = [],
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
        ...layer(bands, {
          mark: { type: 'area', clip: true },
          encoding: {
            ...position,
            y: { ...position.y, field: 'low' },
            y2: { field: 'high' },
            color,
            opacity: unlessFocused(0.2, 0.03),
          },
        }),
        ...layer(dots, {
          mark: { type: 'point', filled: true, size: 9, clip: true },
          encoding: { ...position, color, opacity: unlessFocused(0.3, 0.04) },
        }),
        ...layer(faint, {
          mark: { type: 'line', strokeWidth: 1, clip: true },
          encoding: { ...position, color, detail: { field: 'run' }, opacity: unlessFocused(0.3, 0.05) },
        }),
        {
          data: { values: points },
          mark: { type: 'line', strokeWidth: 2, clip: true },
          encoding: { ...position, color, strokeDash, opacity: unlessFocused(1, 0.12) },
        },
        {
          // Points are invisible, except the one nearest to the pointer.
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
        ...layer(crosses, {
          mark: { type: 'text', text: '✕', fontSize: 15, fontWeight: 'bold' },
          encoding: { ...position, color, opacity: unlessFocused(1, 0.12) },
        }),
        ...layers,
      ],
    },
  };
}

export const round = (value: number): number => Number(value.toPrecision(5));

/** The fields of a point and of its band. */
export const banded = ({ mean, low, high }: Spread): { value: number; low: number; high: number } => ({
  value: round(mean),
  low: round(low),
  high: round(high),
});

/** 1e-3 and 2.5e-3, but 0, 1 and 10. */
export const scientific = {
  labelExpr: "datum.value === 0 || datum.value >= 1 ? format(datum.value, '~g') : format(datum.value, '~e')",
};

/** An axis of accuracies from `floor` up, so that the best ones are far enough apart to see. */
export const accuracyFrom = (floor: number) => ({
  title: `Accuracy (%)${floor === 0 ? '' : `, from ${floor}`}`,
  scale: { domain: [floor, 100], nice: false },
});

/** A multiple of ten, at least `margin` below all accuracies, but not below 0. */
export const floorBelow = (accuracies: readonly number[], margin: number): number =>
  Math.max(0, 10 * Math.floor((Math.min(...accuracies) - margin) / 10));
