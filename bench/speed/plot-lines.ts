import { decades, logTicks, type Spec } from '../report/charts.js';
import { look } from '../report/look.js';

/** A line of a plot, with its name at its end. */
export interface Line {
  readonly id: string;
  /** What stands at its end. */
  readonly text: string;
  readonly color: string;
  readonly dash?: readonly number[];
  readonly bold?: boolean;
  readonly points: readonly Point[];
}

export interface Point {
  readonly n: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface LinePlot {
  readonly title: string;
  /** Each string is a line. */
  readonly subtitle: readonly string[];
  readonly y: string;
  readonly lines: readonly Line[];
  /** A value that a rule marks. */
  readonly rule?: number;
}

const lineHeight = 18;
const height = 330;

/** The heights of the labels: those of the lines' ends, moved so that labels do not overlap. */
function labelled(lines: readonly Line[], [low, high]: readonly [number, number]): (Line & { y: number })[] {
  const pixel = (value: number): number => height * (1 - Math.log(value / low) / Math.log(high / low));
  const value = (y: number): number => low * (high / low) ** (1 - y / height);
  const ends = lines.map((line) => ({ line, y: pixel(line.points.at(-1)!.value) })).sort((a, b) => a.y - b.y);
  // Labels are pushed down from the top, then those below the bottom are pushed up.
  for (let i = 1; i < ends.length; i++) ends[i]!.y = Math.max(ends[i]!.y, ends[i - 1]!.y + lineHeight);
  for (let i = ends.length - 1; i >= 0; i--)
    ends[i]!.y = Math.min(ends[i]!.y, i === ends.length - 1 ? height : ends[i + 1]!.y - lineHeight);
  return ends.map(({ line, y }) => ({ ...line, y: value(y) }));
}

/** Lines over the number of parameters, both axes logarithmic. */
export function linesSpec({ title, subtitle, y: yTitle, lines, rule }: LinePlot): Spec | undefined {
  const points = lines.flatMap(({ id, points }) => points.map((point) => ({ id, ...point })));
  if (points.length === 0) return undefined;
  const marked = rule === undefined ? [] : [rule];
  const domain = [
    0.8 * Math.min(...points.map(({ low }) => low), ...marked),
    1.2 * Math.max(...points.map(({ high }) => high), ...marked),
  ] as const;
  const ns = points.map(({ n }) => n);
  const [first, last] = [Math.min(...ns), Math.max(...ns)];
  const scale = (of: (line: Line) => unknown): object => ({ domain: lines.map(({ id }) => id), range: lines.map(of) });
  const color = { field: 'id', type: 'nominal', legend: null, scale: scale((line) => line.color) };
  const strokeDash = { field: 'id', type: 'nominal', legend: null, scale: scale((line) => line.dash ?? [1, 0]) };
  const x = {
    field: 'n',
    type: 'quantitative',
    title: 'parameters',
    scale: { type: 'log', domain: [first, last === first ? 10 * first : last] },
    axis: { values: decades(first, last), labelExpr: "replace(format(datum.value, '.0e'), '+', '')", grid: false },
  };
  const y = {
    field: 'value',
    type: 'quantitative',
    title: yTitle,
    scale: { type: 'log', nice: false, domain },
    axis: { values: logTicks(...domain), labelExpr: "format(datum.value, '~g')" },
  };
  const labels = labelled(lines, domain).map(({ id, text, bold, points, y }) => {
    const end = points.at(-1)!;
    return { id, text, bold: bold === true, n: end.n, value: end.value, y, right: last * (last / first) ** 0.05 };
  });
  const ofLines = (bold: boolean): object[] =>
    points.filter(({ id }) => lines.some((l) => l.id === id && (l.bold ?? false) === bold));
  const texts = (bold: boolean): object => ({
    data: { values: labels.filter((label) => label.bold === bold) },
    mark: {
      type: 'text',
      align: 'left',
      dx: 4,
      baseline: 'middle',
      fontSize: 14,
      fontWeight: bold ? 'bold' : 'normal',
      clip: false,
    },
    encoding: { x: { ...x, field: 'right' }, y: { ...y, field: 'y' }, text: { field: 'text' }, color },
  });
  return {
    ...look(title, subtitle),
    width: 235,
    height,
    layer: [
      {
        data: { values: marked.map((at) => ({ at })) },
        mark: { type: 'rule', strokeDash: [6, 4], size: 1.5, color: 'var(--ink)' },
        encoding: { y: { ...y, field: 'at' } },
      },
      {
        data: { values: points },
        mark: { type: 'rule', opacity: 0.5 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      { data: { values: points }, mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color, strokeDash } },
      { data: { values: ofLines(true) }, mark: { type: 'line', strokeWidth: 5 }, encoding: { x, y, color } },
      {
        data: { values: points.filter(({ id }) => id !== 'limit') },
        mark: { type: 'point', filled: true, size: 40, opacity: 1 },
        encoding: { x, y, color },
      },
      {
        data: { values: labels },
        mark: { type: 'rule', strokeWidth: 0.75, opacity: 0.6, clip: false },
        encoding: { x, x2: { field: 'right' }, y, y2: { field: 'y' }, color },
      },
      texts(true),
      texts(false),
    ],
  };
}
