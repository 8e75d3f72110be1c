import { decades } from '../report/charts.js';
import { escapeHtml, prose } from '../report/html.js';
import { percent, short } from './captions.js';
import type { Cost } from './cost.js';
import { rate, type SweepFigure } from './figures.js';
import type { Method, Scores, TrainJob } from './job.js';
import { type Family, methods } from './methods.js';
import { leastLossOf, medianOf } from './outcomes.js';
import { accuracyFrom, base, floorBelow, focus, type Panel, round, unlessFocused } from './panel.js';
import type { Results } from './pool.js';

// The page "Which of these is worth it": every class with the same number of learning rates, chosen by one rule.

/** The median over the seeds, with the lowest and the highest. */
export interface Middle {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Worth {
  readonly method: Method;
  readonly name: string;
  readonly family: Family;
  /** How many learning rates were tried. */
  readonly tried: number;
  /** The learning rate with the lowest median of the final training loss; undefined if a seed diverged at each. */
  readonly lr: number | undefined;
  /** Whether that is the lowest or the highest one tried. */
  readonly atEdge: boolean;
  readonly loss?: Middle;
  readonly accuracy?: Middle;
  /**
   * The best and the worst place that the seeds allow: a method is certainly before another one if its lowest seed is above
   * the other's highest.
   */
  readonly places: readonly [number, number];
}

/** What a picture shows of a class, the best first: a row above, or one that was recorded. */
export type Drawn = Pick<Worth, 'name' | 'accuracy' | 'loss'> & { readonly family?: Family };

type Finished<R extends Drawn> = R & { readonly lr: number; readonly loss: Middle; readonly accuracy: Middle };
const isFinished = <R extends Drawn>(row: R): row is Finished<R> => row.accuracy !== undefined;

export function middleOfSeeds(values: readonly number[]): Middle {
  return { median: medianOf(values), low: Math.min(...values), high: Math.max(...values) };
}

const over = (job: TrainJob, results: Results, value: (scores: Scores) => number): Middle =>
  middleOfSeeds(results.repeats(job).map(({ scores }) => value(scores.at(-1) as Scores)));

/** All methods, the highest median accuracy first. Those that diverged at every learning rate are last. */
export function worthOf({ sweeps }: SweepFigure, results: Results): Worth[] {
  const rows = sweeps.map((sweep): Omit<Worth, 'places'> => {
    const { method, family, jobs } = sweep;
    const job = leastLossOf(sweep, results);
    const common = { method, name: methods[method].name, family, tried: jobs.length };
    if (job === undefined) return { ...common, lr: undefined, atEdge: false };
    const loss = over(job, results, ({ train }) => train.loss);
    const atEdge = jobs.length > 1 && [jobs[0], jobs.at(-1)].includes(job);
    return { ...common, lr: job.lr, atEdge, loss, accuracy: over(job, results, (s) => s.validation.accuracy) };
  });
  const before = (a: Omit<Worth, 'places'>, b: Omit<Worth, 'places'>): boolean =>
    a.accuracy !== undefined && (b.accuracy === undefined || a.accuracy.low > b.accuracy.high);
  return rows
    .map((row): Worth => {
      const first = 1 + rows.filter((other) => before(other, row)).length;
      return { ...row, places: [first, rows.length - rows.filter((other) => before(row, other)).length] };
    })
    .sort(
      (a, b) =>
        (b.accuracy?.median ?? -1) - (a.accuracy?.median ?? -1) ||
        (a.loss?.median ?? Infinity) - (b.loss?.median ?? Infinity),
    );
}

/** Those whose seeds reach into the range of the first one, which is among them. */
export const tiedWithFirst = <R extends Drawn>(rows: readonly R[]): Finished<R>[] =>
  rows.filter(isFinished).filter(({ accuracy }) => accuracy.high >= (rows[0]?.accuracy?.low ?? Infinity));

/** Whether the seeds differ. One seed tells no difference from chance, so nothing is marked as the best then. */
const isRepeated = (rows: readonly Drawn[]): boolean =>
  rows.some(({ accuracy }) => accuracy !== undefined && accuracy.low < accuracy.high);

const namesOfTied = (rows: readonly Drawn[]): Set<string> =>
  new Set(isRepeated(rows) ? tiedWithFirst(rows).map(({ name }) => name) : []);

interface WorthPanel {
  readonly title: string;
  readonly x: object;
  /** Where the axis starts. A class whose median is lower has no dot there, only its number. */
  readonly from: number;
  readonly of: (row: Finished<Drawn>) => Middle;
  readonly text: (value: number) => string;
}

export function worthPanels(rows: readonly Drawn[]): Panel[] {
  const finished = rows.filter(isFinished);
  const tied = namesOfTied(rows);
  const panel = ({ title, x, from, of, text }: WorthPanel): Panel => {
    const isDrawn = (row: Finished<Drawn>): boolean => of(row).median >= from;
    const values = finished.filter(isDrawn).map((row) => {
      const { median, low, high } = of(row);
      return {
        name: row.name,
        line: row.family?.title,
        median: round(median),
        low: round(low),
        high: round(high),
        start: round(Math.max(low, from)),
        text: text(median),
        color: tied.has(row.name) ? 'var(--green)' : 'var(--blue)',
      };
    });
    const told = rows.flatMap((row) => {
      if (isFinished(row) && isDrawn(row)) return [];
      const words = isFinished(row)
        ? { text: `◂ ${text(of(row).median)}`, color: 'var(--ink)' }
        : { text: '✕ diverged', color: 'var(--warn)' };
      return [{ name: row.name, line: row.family?.title, ...words }];
    });
    const y = {
      field: 'name',
      type: 'nominal',
      sort: rows.map(({ name }) => name),
      title: null,
      axis: { labelLimit: 240, ticks: false, domain: false, labelPadding: 6, grid: true },
    };
    const at = (field: string): object => ({ field, type: 'quantitative', ...x });
    const color = { field: 'color', type: 'nominal', legend: null, scale: null };
    const tooltip = [
      { field: 'name', title: 'class' },
      { field: 'median', title: 'median', format: '.3~g' },
      { field: 'low', title: 'lowest', format: '.3~g' },
      { field: 'high', title: 'highest', format: '.3~g' },
    ];
    const opacity = unlessFocused(1, 0.15);
    return {
      title,
      spec: {
        ...base,
        height: 21 * rows.length + 45,
        params: [focus],
        data: { values },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 4 },
            encoding: { y, x: at('start'), x2: { field: 'high' }, color, opacity: unlessFocused(0.45, 0.1) },
          },
          {
            mark: { type: 'point', filled: true, size: 60 },
            encoding: { y, x: at('median'), color, opacity, tooltip },
          },
          {
            mark: { type: 'text', align: 'left', dx: 8, fontSize: 11, color: 'var(--ink)' },
            encoding: { y, x: at('high'), text: { field: 'text' }, opacity },
          },
          ...(told.length === 0
            ? []
            : [
                {
                  data: { values: told },
                  mark: { type: 'text', align: 'left', x: 4, fontSize: 11 },
                  encoding: { y, text: { field: 'text' }, color, opacity },
                },
              ]),
        ],
      },
    };
  };
  // Few classes far below the others must not press those together.
  const lows = finished.map(({ accuracy }) => 100 * accuracy.low).sort((a, b) => a - b);
  const low = floorBelow(lows.slice(lows.length >> 2), 10);
  const lower = finished.some(({ accuracy }) => 100 * accuracy.median < low) ? '; ◂ lower' : '';
  const title = `${accuracyFrom(low).title}${lower}`;
  // Room for the number beside the best ones.
  const accuracyX = { title, scale: { domain: [low, 100 + 0.16 * (100 - low)], nice: false }, axis: { tickCount: 5 } };
  const losses = finished.flatMap(({ loss }) => [loss.low, loss.high]);
  const [least, most] = [Math.min(...losses) / 1.2, Math.max(...losses)];
  const lossX = {
    title: 'Cross-entropy (nats), log scale',
    scale: { type: 'log', nice: false, domain: [least, most * (most / least) ** 0.25] },
    axis: {
      values: decades(least / 10, most)
        .flatMap((ten) => [ten, 3 * ten])
        .filter((tick) => tick >= least),
      format: '~g',
    },
  };
  return [
    panel({
      title: `Final validation accuracy${isRepeated(rows) ? ': median and range over the seeds' : ''}`,
      x: accuracyX,
      from: low,
      of: ({ accuracy: { median, low, high } }) => ({ median: 100 * median, low: 100 * low, high: 100 * high }),
      text: (value) => value.toFixed(1),
    }),
    panel({ title: 'Final training loss, in the same order', x: lossX, from: 0, of: ({ loss }) => loss, text: short }),
  ];
}

const list = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

export function describeWorth(figure: SweepFigure, results: Results, seeds: number): string {
  const rows = worthOf(figure, results);
  const [first] = rows;
  if (first === undefined || !isFinished(first)) return 'Every run diverged.';
  const tied = tiedWithFirst(rows).filter(({ name }) => name !== first.name);
  const certain = `The highest median is that of ${first.name} (${percent(first.accuracy.median)} at ${rate(first.lr)}).`;
  const edge = rows.filter(({ atEdge }) => atEdge).map(({ name }) => name);
  const failed = rows.filter((row) => !isFinished(row)).map(({ name }) => name);
  return [
    certain,
    seeds === 1
      ? 'There is one seed only, so that nothing tells a difference from chance: the order is no result.'
      : tied.length === 0
        ? 'No other method reaches its range.'
        : `${tied.length} of the others reach into its range, drawn in green: on this network, these ${seeds} seeds do not tell them apart: ${list(tied.map(({ name }) => name))}.`,
    edge.length === 0
      ? ''
      : `Best at the lowest or highest learning rate tried, so that a longer search may raise them: ${list(edge)}.`,
    failed.length === 0 ? '' : `Diverged at every learning rate, with some seed: ${list(failed)}.`,
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

const time = (micros: number): string => (micros < 9950 ? short(micros) : `${(micros / 1000).toFixed(0)}k`);

/** The table below the plots. */
export function worthTable(figure: SweepFigure, results: Results, costs: ReadonlyMap<Method, Cost>): string {
  const rows = worthOf(figure, results);
  const tied = namesOfTied(rows);
  const repeated = isRepeated(rows);
  const spread = ({ median, low, high }: Middle, text: (value: number) => string): string =>
    `<td>${text(median)}${low === high ? '' : `<br><small>${text(low)}–${text(high)}</small>`}</td>`;
  const body = rows.map((row) => {
    const cost = costs.get(row.method);
    const [from, to] = row.places;
    const ends = isFinished(row)
      ? `<td>${prose(rate(row.lr))}</td>${spread(row.accuracy, percent)}${spread(row.loss, short)}`
      : '<td colspan="3" class="diverged">diverged</td>';
    return `<tr${tied.has(row.name) ? ' class="best"' : ''}><th scope="row">${escapeHtml(row.name)}</th>${repeated ? `<td>${from === to ? from : `${from}–${to}`}</td>` : ''}${ends}<td>${cost === undefined ? '–' : time(cost.micros)}</td><td>${cost === undefined ? '–' : short(cost.stateBytes)}</td></tr>`;
  });
  return `<div class="wide"><table>
<thead><tr><th scope="col">Class</th>${repeated ? '<th scope="col">Place</th>' : ''}<th scope="col">lr</th><th scope="col">Accuracy</th><th scope="col">Loss</th><th scope="col">µs a step</th><th scope="col">State, bytes a weight</th></tr></thead>
<tbody>${body.join('\n')}</tbody>
</table></div>
<p class="seen">${repeated ? 'Place: the best and the worst one that the ranges over the seeds allow. Marked rows reach into the range of the first one. ' : ''}Accuracy is on the validation images, loss on the training images${repeated ? '; both are medians over the seeds, above the range' : ''}. The time is that of the update alone, the median of some steps on this machine, and the only number that differs between two runs of the command.</p>`;
}

/** A row without what differs between two runs of the same command. */
export function worthNumbers(row: Worth, costs: ReadonlyMap<Method, Cost>): object {
  const { name, tried, lr, atEdge, loss, accuracy, places, method } = row;
  const stateBytes = costs.get(method)?.stateBytes;
  return {
    name,
    places,
    tried,
    ...(isFinished(row) ? { lr, atEdge, accuracy, loss } : { diverged: true }),
    ...(stateBytes !== undefined && { stateBytes }),
  };
}
