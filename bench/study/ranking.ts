import { decades } from '../report/charts.js';
import { heatColor, heatInkColor } from '../report/theme.js';
import type { SweepFigure } from './figures.js';
import { lookOf } from './looks.js';
import { ranked, type Scored } from './outcomes.js';
import { accuracyFrom, base, floorBelow, focus, type Panel, round, scientific, unlessFocused } from './panel.js';
import type { Results } from './pool.js';

/** The families, which the legend highlights. */
export function familyTitles(figure: SweepFigure): string[] {
  return [...new Set(figure.sweeps.map(({ family }) => family.title))];
}

/** The ends of each learning rate's cell: a quarter of a decade away, or halfway to a rate that is closer. */
function cellsOf(scores: readonly Scored[]): { from: number; to: number }[] {
  const reach = 10 ** 0.25;
  return scores.map(({ lr }, i) => ({
    from: Math.max(lr / reach, Math.sqrt(lr * (scores[i - 1]?.lr ?? 0))),
    to: Math.min(lr * reach, Math.sqrt(lr * (scores[i + 1]?.lr ?? Infinity))),
  }));
}

/** All methods, best first: the accuracy at each learning rate, and at the best one beside the default. */
export function rankingPanels(figure: SweepFigure, results: Results): Panel[] {
  const rows = ranked(figure, results);
  const cells = rows.flatMap(({ name, family, best, scores }) => {
    const ends = cellsOf(scores);
    return scores.map(({ lr, accuracy }, i) => ({
      name,
      line: family.title,
      lr,
      ...ends[i],
      accuracy: accuracy === null ? null : round(100 * accuracy),
      text: accuracy === null ? '✕' : (100 * accuracy).toFixed(0),
      // The exponent spreads the colours of accuracies near 100%.
      color: accuracy === null ? 'var(--diverged-paper)' : heatColor(accuracy ** 4),
      ink: accuracy === null ? 'var(--warn)' : heatInkColor(accuracy ** 4),
      best: lr === best.lr && accuracy !== null,
    }));
  });
  // The best cell is drawn last, so that no neighbour covers its frame.
  cells.sort((a, b) => Number(a.best) - Number(b.best));
  const low = floorBelow(
    rows.flatMap(({ best, atDefault }) => [best, atDefault].flatMap((score) => 100 * (score?.accuracy ?? 1))),
    10,
  );
  const dots = rows.flatMap(({ name, family, method, best, atDefault }) => {
    const shared = { name, line: family.title, color: lookOf(method).color };
    const accuracyAt = (score: Scored | undefined): number | null | undefined =>
      score && (score.accuracy === null ? null : round(100 * score.accuracy));
    const [most, byDefault] = [accuracyAt(best), accuracyAt(atDefault)];
    const told = (what: string): object => ({ what, told: `✕ ${what} diverged` });
    return [
      { ...shared, ...told('best'), lr: best.lr, accuracy: most ?? low, diverged: most === null },
      ...(atDefault === undefined
        ? []
        : [
            {
              ...shared,
              ...told('default'),
              lr: atDefault.lr,
              accuracy: byDefault ?? low,
              diverged: byDefault === null,
            },
          ]),
    ];
  });
  const ends = cells.flatMap(({ from, to }) => [from as number, to as number]);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
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
  const color = { field: 'color', type: 'nominal', legend: null, scale: null };
  const accuracyX = { field: 'accuracy', type: 'quantitative', axis: { tickCount: 5 }, ...accuracyFrom(low) };
  const shared = { ...base, height: 21 * rows.length + 45, params: [focus] };
  const tooltip = [
    { field: 'name', title: 'class' },
    { field: 'lr', title: 'learning rate', format: '~g' },
    { field: 'accuracy', title: 'validation accuracy', format: '.1f' },
  ];
  const only = (test: string): object[] => [{ filter: test }];
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
              color,
              stroke: { condition: { test: 'datum.best', value: 'var(--ink)' }, value: null },
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
              color: { ...color, field: 'ink' },
            },
          },
          {
            data: { values: dots },
            transform: only("datum.what === 'default'"),
            mark: { type: 'point', shape: 'triangle-up', filled: true, color: 'var(--warn)', size: 32, yOffset: 8 },
            encoding: { y, x: { ...x, field: 'lr' }, opacity: unlessFocused(1, 0.15) },
          },
        ],
      },
    },
    {
      title: 'At the best learning rate (dot), and at the default (triangle)',
      spec: {
        ...shared,
        data: { values: dots },
        layer: [
          {
            transform: only('!datum.diverged'),
            mark: { type: 'line', strokeWidth: 2 },
            encoding: { y, x: accuracyX, detail: { field: 'name' }, color, opacity: unlessFocused(0.5, 0.1) },
          },
          {
            transform: only("datum.what === 'default' && !datum.diverged"),
            mark: { type: 'point', shape: 'triangle-up', filled: true, size: 55 },
            encoding: { y, x: accuracyX, color, opacity: unlessFocused(1, 0.15), tooltip },
          },
          {
            transform: only("datum.what === 'best' && !datum.diverged"),
            mark: { type: 'point', filled: true, size: 70 },
            encoding: { y, x: accuracyX, color, opacity: unlessFocused(1, 0.15), tooltip },
          },
          {
            transform: only("datum.what === 'best' && !datum.diverged"),
            mark: { type: 'text', align: 'left', dx: 8, fontSize: 11, color: 'var(--ink)' },
            encoding: { y, x: accuracyX, text: { field: 'accuracy', format: '.1f' }, opacity: unlessFocused(1, 0.15) },
          },
          {
            transform: only('datum.diverged'),
            mark: { type: 'text', align: 'left', dx: 2, fontSize: 11, fontWeight: 'bold', color: 'var(--warn)' },
            encoding: {
              y,
              x: accuracyX,
              text: { field: 'told' },
              opacity: unlessFocused(1, 0.15),
            },
          },
        ],
      },
    },
  ];
}
