import type { Spec } from '../report/charts.js';
import { look } from '../report/look.js';
import { dataParallel, downpour, efficiency, type Network, type Work, zero1 } from './model.js';

export interface NamedNetwork extends Network {
  readonly name: string;
}

/** 20 ms for a million parameters, 500 ms for 10⁸: five times as long for ten times as many. */
export const works: readonly Work[] = [1e6, 1e7, 1e8, 1e9].map((n) => ({
  n,
  compute: 0.02 * 5 ** Math.log10(n / 1e6),
}));

const ranks = [8, 16, 32, 64, 128, 256, 512, 1024];

interface Method {
  readonly name: string;
  readonly color: string;
  readonly dash: readonly number[];
  readonly seconds: (p: number, work: Work, network: Network) => number;
}

const methods: readonly Method[] = [
  { name: 'DataParallel', color: 'blue', dash: [1, 0], seconds: dataParallel },
  { name: 'DataParallel, bf16', color: 'cyan', dash: [1, 0], seconds: (p, work, net) => dataParallel(p, work, net, 2) },
  { name: 'ZeRO-1', color: 'vermilion', dash: [6, 4], seconds: zero1 },
  {
    name: 'Downpour, 1 server',
    color: 'amber',
    dash: [2, 3],
    seconds: (p, work, net) => downpour(p, work, net, { servers: 1, every: 1 }),
  },
  {
    name: 'Downpour, p/8 servers',
    color: 'green',
    dash: [1, 0],
    seconds: (p, work, net) => downpour(p, work, net, { servers: p / 8, every: 10 }),
  },
];

/** 1e6 → 10⁶. */
const power = (n: number): string =>
  `10${[...String(Math.log10(n))].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`;

/** 10⁶ params, 20 ms. */
function sizeOf({ n, compute }: Work): string {
  return `${power(n)} params, ${compute < 1 ? `${Number((1000 * compute).toPrecision(3))} ms` : `${compute.toPrecision(2)} s`}`;
}

/** Efficiency over ranks: a column for each size of model, a row for each network. */
export function modelSpec(networks: readonly NamedNetwork[]): Spec {
  const values = networks.flatMap((network) =>
    works.flatMap((work) =>
      methods.flatMap(({ name, seconds }) =>
        ranks.map((p) => ({
          network: network.name,
          size: sizeOf(work),
          method: name,
          p,
          efficiency: efficiency(work, seconds(p, work, network)),
        })),
      ),
    ),
  );
  const legend = { orient: 'top', title: null, columns: 5, symbolSize: 400, symbolStrokeWidth: 2, labelLimit: 0 };
  const domain = methods.map(({ name }) => name);
  const ink = { labelColor: 'var(--ink)', titleColor: 'var(--ink)', labelFontSize: 13, titleFontSize: 13 };
  const header = { ...ink, title: null, labelFontWeight: 'bold', labelLimit: 0 };
  const title = 'The α-β model: the share of a step in which a rank computes';
  const subtitle = [
    'A prediction, not a measurement of a cluster. Columns: parameters, and',
    'the assumed time of a forward and backward pass. Downpour with one server',
    'exchanges in every step, with p/8 servers in every tenth.',
  ];
  return {
    ...look(title, subtitle),
    background: 'var(--paper)',
    padding: 10,
    data: { values },
    facet: {
      row: {
        field: 'network',
        type: 'nominal',
        sort: networks.map(({ name }) => name),
        header: { ...header, labelOrient: 'left', labelAngle: -90, labelAlign: 'center' },
      },
      column: { field: 'size', type: 'nominal', sort: works.map(sizeOf), header },
    },
    spec: {
      width: 190,
      height: 150,
      mark: { type: 'line', strokeWidth: 2 },
      encoding: {
        x: {
          field: 'p',
          type: 'quantitative',
          title: 'ranks',
          scale: { type: 'log', base: 2, domain: [8, 1024], nice: false },
          axis: { values: [8, 32, 128, 512], grid: false },
        },
        y: {
          field: 'efficiency',
          type: 'quantitative',
          title: 'efficiency',
          scale: { domain: [0, 1] },
          axis: { format: '.0%', tickCount: 5 },
        },
        color: {
          field: 'method',
          type: 'nominal',
          legend,
          scale: { domain, range: methods.map(({ color }) => `var(--${color})`) },
        },
        strokeDash: {
          field: 'method',
          type: 'nominal',
          legend,
          scale: { domain, range: methods.map(({ dash }) => dash) },
        },
      },
    },
  };
}
