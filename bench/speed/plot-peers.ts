import { colors, decades, type Spec } from '../report/charts.js';
import { number } from './format.js';
import { look } from './plot.js';
import { isSkipped, type PeerRow, type Results } from './results.js';
import { type Method, methods } from './task.js';

// A peer and its variants share a hue.
const looks: Readonly<Record<string, { color: string; dash: readonly number[] }>> = {
  limit: { color: colors.black, dash: [6, 4] },
  schuss: { color: colors.blue, dash: [1, 0] },
  'schuss-tfjs': { color: colors.blue, dash: [3, 3] },
  js: { color: '#B58900', dash: [1, 0] },
  'tfjs-wasm': { color: colors.vermilion, dash: [1, 0] },
  'tfjs-cpu': { color: colors.vermilion, dash: [4, 3] },
  'jax-js': { color: colors.green, dash: [1, 0] },
  torch: { color: '#A0528A', dash: [1, 0] },
  'torch-foreach': { color: '#A0528A', dash: [4, 3] },
  'torch-fused': { color: '#A0528A', dash: [8, 3] },
};

interface Point {
  readonly peer: string;
  readonly label: string;
  readonly n: number;
  readonly ns: number;
  readonly low: number;
  readonly high: number;
  readonly ofOurs: number;
}

function pointsOf(against: readonly PeerRow[], method: Method): Point[] {
  return against.flatMap(({ method: m, tensors, peer, label, n, measured }) =>
    m !== method || tensors !== 1 || isSkipped(measured)
      ? []
      : [
          {
            peer,
            label,
            n,
            ns: measured.nsPerParam.median,
            low: measured.nsPerParam.low,
            high: measured.nsPerParam.high,
            ofOurs: measured.ofOurs.median,
          },
        ],
  );
}

interface Label {
  readonly peer: string;
  readonly text: string;
  /** The end of its line. */
  readonly n: number;
  readonly ns: number;
  /** The label's position: the end of its line, moved so that labels do not overlap. */
  readonly y: number;
}

const isOurs = ({ peer }: { readonly peer: string }): boolean => peer === 'schuss';

const lineHeight = 17;
const height = 400;

/** A label at the end of each line, with the ratio of its time to ours there. */
function labelsOf(points: readonly Point[], [low, high]: readonly [number, number]): Label[] {
  const last = new Map(points.map((point) => [point.peer, point]));
  const pixel = (ns: number): number => height * (1 - Math.log(ns / low) / Math.log(high / low));
  const value = (y: number): number => low * (high / low) ** (1 - y / height);
  const ends = [...last.values()].sort((a, b) => b.ns - a.ns).map((point) => ({ point, y: pixel(point.ns) }));
  // Labels are pushed down from the top, then those below the bottom are pushed up.
  for (let i = 1; i < ends.length; i++) ends[i]!.y = Math.max(ends[i]!.y, ends[i - 1]!.y + lineHeight);
  for (let i = ends.length - 1; i >= 0; i--)
    ends[i]!.y = Math.min(ends[i]!.y, i === ends.length - 1 ? height : ends[i + 1]!.y - lineHeight);
  return ends.map(({ point, y }) => ({
    peer: point.peer,
    text: textOf(point),
    n: point.n,
    ns: point.ns,
    y: value(y),
  }));
}

function textOf({ peer, label, ofOurs }: Point): string {
  if (peer === 'schuss') return label;
  if (peer === 'limit') return 'limit: memory alone';
  return `${label}  ${ofOurs < 10 ? ofOurs.toFixed(1) : number(Math.round(ofOurs)).replace(/\.0*$/, '')}×`;
}

/** ns/param over n for one method: schuss, its peers and the limit. */
export function peersSpec({ against, machine }: Results, method: Method): Spec | undefined {
  const points = pointsOf(against, method);
  if (points.length === 0) return undefined;
  const domain = [
    0.8 * Math.min(...points.map(({ low }) => low)),
    1.2 * Math.max(...points.map(({ high }) => high)),
  ] as const;
  const ns = [...new Set(points.map(({ n }) => n))].sort((a, b) => a - b);
  const [first, last] = [ns[0] as number, ns.at(-1) as number];
  const span = last / first;
  const present = Object.keys(looks).filter((id) => points.some(({ peer }) => peer === id));
  const scale = (of: 'color' | 'dash'): object => ({
    domain: present,
    range: present.map((id) => looks[id]?.[of]),
  });
  const peer = (of: 'color' | 'dash'): object => ({
    field: 'peer',
    type: 'nominal',
    legend: null,
    scale: scale(of),
  });
  const x = {
    field: 'n',
    type: 'quantitative',
    title: 'parameters in one tensor',
    scale: { type: 'log', nice: false, domain: [first / 1.15, last * 1.15] },
    axis: { grid: false, values: ns, labelExpr: "replace(format(datum.value, '~e'), '+', '')" },
  };
  const y = {
    field: 'ns',
    type: 'quantitative',
    title: 'nanoseconds per parameter',
    scale: { type: 'log', nice: false, domain },
    axis: { values: decades(...domain), labelExpr: "format(datum.value, '~g')" },
  };
  const labels = labelsOf(points, domain).map((label) => ({ ...label, right: last * span ** 0.03 }));
  const texts = (values: readonly Label[], fontWeight: string): object => ({
    data: { values },
    mark: { type: 'text', align: 'left', dx: 4, baseline: 'middle', fontSize: 13, fontWeight, clip: false },
    encoding: {
      x: { ...x, field: 'right' },
      y: { ...y, field: 'y' },
      text: { field: 'text' },
      color: peer('color'),
    },
  });
  return {
    ...look(
      `${methods[method].label}: what a step costs`,
      `lower is better · one thread · ${machine.cpu}, ${machine.isa} · N× = times the time of schuss at that size`,
    ),
    height,
    layer: [
      {
        data: { values: points },
        mark: { type: 'rule', opacity: 0.5 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: peer('color') },
      },
      {
        data: { values: points },
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { x, y, color: peer('color'), strokeDash: peer('dash') },
      },
      {
        data: { values: points.filter(isOurs) },
        mark: { type: 'line', strokeWidth: 5 },
        encoding: { x, y, color: peer('color') },
      },
      {
        data: { values: points.filter((point) => point.peer !== 'limit') },
        mark: { type: 'point', filled: true, size: 40, opacity: 1 },
        encoding: { x, y, color: peer('color') },
      },
      {
        data: { values: labels },
        mark: { type: 'rule', strokeWidth: 0.75, opacity: 0.6, clip: false },
        encoding: { x, x2: { field: 'right' }, y, y2: { field: 'y' }, color: peer('color') },
      },
      texts(labels.filter(isOurs), 'bold'),
      texts(
        labels.filter((label) => !isOurs(label)),
        'normal',
      ),
    ],
  };
}
