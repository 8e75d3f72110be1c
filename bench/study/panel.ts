import { colors, config, type Spec, schema } from '../report/charts.js';

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

// The dash patterns make lines distinguishable without colour.
const styles: readonly { color: string; dash: readonly number[] }[] = [
  { color: colors.blue, dash: [1, 0] },
  { color: colors.vermilion, dash: [8, 3] },
  { color: colors.green, dash: [2, 2] },
  { color: colors.purple, dash: [8, 3, 2, 3] },
  { color: colors.orange, dash: [12, 3, 2, 3, 2, 3] },
  { color: colors.black, dash: [4, 4] },
  { color: colors.sky, dash: [1, 0] },
];

export function legendOf(labels: readonly string[]): LegendEntry[] {
  return labels.map((label, i) => ({ label, ...(styles[i % styles.length] as (typeof styles)[number]) }));
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
    axis: { ...config.axis, labelFontSize: 11, titleFontSize: 12, labelColor: '#444', titleColor: '#222' },
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
  /** Noisy values, drawn as faint dots behind the lines. */
  readonly dots?: readonly object[];
  /** The ends of runs that diverged. */
  readonly crosses?: readonly object[];
  /** Further runs, drawn as faint lines. */
  readonly faint?: readonly object[];
  readonly layers?: readonly object[];
}

export function linePanel({
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

export const round = (value: number): number => Number(value.toPrecision(5));

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
