import type { Spec } from '../report/charts.js';
import { look } from '../report/look.js';
import { size } from './format.js';
import type { Results } from './results.js';

/** The time of every class relative to the limit at each size, one thread. */
export function limitSpec({ classes }: Results): Spec | undefined {
  const points = classes.rows.flatMap((row) =>
    row.ofLimit === null || row.threads !== 1 ? [] : [{ optimizer: row.optimizer, n: size(row.n), ...row.ofLimit }],
  );
  if (points.length === 0) return undefined;
  const sizes = [...new Set(points.map(({ n }) => n))];
  const least = Math.min(0.8, ...points.map(({ low }) => 0.9 * low));
  const most = Math.max(2, ...points.map(({ high }) => 1.1 * high));
  const y = {
    field: 'optimizer',
    type: 'nominal',
    sort: null,
    title: null,
    axis: { ticks: false, domain: false, grid: true },
  };
  const x = {
    field: 'median',
    type: 'quantitative',
    title: 'time / time of a loop that only moves the same memory',
    scale: { type: 'log', domain: [least, most], nice: false },
    axis: { values: [0.1, 0.2, 0.5, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100], format: '~g', grid: false },
  };
  const color = {
    field: 'n',
    type: 'nominal',
    sort: null,
    title: 'parameters',
    legend: { orient: 'top', columns: 5 },
    scale: {
      domain: sizes,
      range: ['purple', 'amber', 'cyan', 'blue', 'green', 'vermilion', 'black'].map((name) => `var(--${name})`),
    },
  };
  return {
    ...look('schuss against the memory’s limit', ['The dashed line is the limit. Left is better. One thread.']),
    width: 235,
    height: { step: 24 },
    layer: [
      {
        data: { values: [{ at: 1 }] },
        mark: { type: 'rule', strokeDash: [6, 4], size: 1.5, color: 'var(--ink)' },
        encoding: { x: { ...x, field: 'at' } },
      },
      {
        data: { values: points },
        mark: { type: 'rule', size: 2 },
        encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color },
      },
      {
        data: { values: points },
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: { x, y, color },
      },
    ],
  };
}
