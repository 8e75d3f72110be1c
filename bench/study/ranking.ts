import { colors, decades } from '../report/charts.js';
import type { SweepFigure } from './figures.js';
import { defaultLr } from './methods.js';
import { ranked } from './numbers.js';
import {
  accuracyFrom,
  base,
  floorBelow,
  focus,
  type LegendEntry,
  legendOf,
  type Panel,
  round,
  scientific,
  unlessFocused,
} from './panel.js';
import type { Results } from './pool.js';

/** The colour of each family. */
export function familyLegend(figure: SweepFigure): LegendEntry[] {
  const titles = [...new Set(figure.sweeps.map(({ family }) => family.title))];
  return legendOf(titles).map((entry) => ({ ...entry, dash: [1, 0] }));
}

/** All methods, best first: the accuracy at each learning rate, and the loss of accuracy half a decade beside the best. */
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
  // The best cell is drawn last, so that no neighbour covers its frame.
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
                // The exponent spreads the colours of accuracies near 100%.
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
            mark: { type: 'point', shape: 'triangle-up', filled: true, color: colors.vermilion, size: 32, yOffset: 8 },
            encoding: { y, x: { ...x, field: 'lr' }, opacity: unlessFocused(1, 0.15) },
          },
        ],
      },
    },
    {
      title: 'At the best learning rate, and at the worse of its two neighbours',
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
