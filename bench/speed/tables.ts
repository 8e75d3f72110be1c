import { number, size, spread, times } from './format.js';
import { noLimit } from './limit.js';
import { type ClassRow, isSkipped, type Measured, type PairRow, type PeerRow, type Results } from './results.js';
import { type Method, methods } from './task.js';

/** A table of results, for the terminal and for the page. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How to read it, what is missing, and why. */
  readonly notes: readonly string[];
}

/** All tables, in the order in which they are shown. */
export function tablesOf(results: Results): Table[] {
  return [...classTables(results), ...peerTables(results), pairTable(results)];
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** One for each thread count: classes down, sizes across. */
function classTables({ classes: { rows, leftOut } }: Results): Table[] {
  const hasLimit = rows.some((row) => row.ofLimit !== null);
  const notes = [
    `${hasLimit ? 'ns/param, GB/s, and our time over that of the limit loop with as many threads' : `ns/param, GB/s; ${noLimit}`}. ± is half the distance of the quartiles.`,
    ...leftOut.map((what) => `left out: ${what}`),
  ];
  const cell = ({ nsPerParam, gbPerSecond, ofLimit }: ClassRow): string =>
    [
      number(nsPerParam.median),
      `${Math.round(gbPerSecond)} GB/s`,
      ...(ofLimit === null ? [spread(nsPerParam)] : [times(ofLimit.median), spread(ofLimit)]),
    ].join('  ');
  return unique(rows.map((row) => row.threads)).map((threads) => {
    const own = rows.filter((row) => row.threads === threads);
    const sizes = unique(own.map((row) => row.n));
    return {
      title: `schuss, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      head: ['optimizer', 'B/param', ...sizes.map(size)],
      rows: unique(own.map((row) => row.optimizer)).map((optimizer) => {
        const cells = own.filter((row) => row.optimizer === optimizer);
        const at = (n: number): string => {
          const row = cells.find((row) => row.n === n);
          return row === undefined ? '–' : cell(row);
        };
        return [optimizer, String(cells[0]?.bytesPerParam), ...sizes.map(at)];
      }),
      notes: threads === 1 ? notes : [],
    };
  });
}

/** One for each method: peers down, tasks across. */
function peerTables({ against }: Results): Table[] {
  return unique(against.map((row) => row.method)).map((method) => {
    const own = against.filter((row) => row.method === method);
    const columns = unique(own.map(columnOf));
    const cell = ({ measured }: PeerRow): string =>
      isSkipped(measured)
        ? 'left out'
        : `${number(measured.nsPerParam.median)}  ${times(measured.ofOurs.median)}  ${spread(measured.ofOurs)}`;
    return {
      title: `${methods[method].label}, one thread`,
      head: ['who', ...columns],
      rows: unique(own.map((row) => row.label)).map((label) => [
        label,
        ...columns.map((column) => {
          const row = own.find((row) => row.label === label && columnOf(row) === column);
          return row === undefined ? '–' : cell(row);
        }),
      ]),
      notes: ['ns/param, and that over the time of schuss in the same round.', ...leftOut(own, method)],
    };
  });
}

function columnOf({ n, tensors }: PeerRow): string {
  return tensors > 1 ? `${tensors} × ${size(n / tensors)}` : size(n);
}

/** Each reason once, with all that it kept out. */
function leftOut(rows: readonly PeerRow[], method: Method): string[] {
  const reasons = new Map<string, string[]>();
  for (const row of rows) {
    if (!isSkipped(row.measured)) continue;
    const reason = `${row.label} left out: ${row.measured.skipped}`;
    reasons.set(reason, [...(reasons.get(reason) ?? []), columnOf(row)]);
  }
  return [...reasons].map(([reason, where]) => `${reason} (${methods[method].label}: ${where.join(', ')})`);
}

function pairTable(results: Results): Table {
  const { fixedCost, manyTensors, nativeAgainstJs, fused, neighbour, sparse, modelFit, eventLoop } = results;
  const pairs = (name: string, rows: readonly PairRow[]): string[][] =>
    rows.map(({ what, n, ns, otherNs, ratio }) => [
      `${name}${what}`,
      size(n),
      number(ns.median),
      number(otherNs.median),
      times(ratio.median),
      spread(ratio),
    ]);
  const measured = <T extends object>(value: Measured<T>, rows: (value: T) => string[][]): string[][] =>
    isSkipped(value) ? [] : rows(value);
  const maybe = {
    'native against JavaScript': nativeAgainstJs,
    'threads beside a neighbour': neighbour,
    'sparse gradients': sparse,
    'model.fit of TensorFlow.js': modelFit,
    stepAsync: eventLoop,
  };
  return {
    title: 'schuss, one way and another',
    head: ['what', 'n', 'ns a step', 'the other', 'other/first', ''],
    rows: [
      ...fixedCost.map(({ optimizer, n, ns }) => [
        `a step that does next to nothing, ${optimizer}`,
        size(n),
        number(ns.median),
        '–',
        '–',
        spread(ns),
      ]),
      ...pairs('one flat tensor; 200 tensors of 1000: ', manyTensors),
      ...measured(nativeAgainstJs, ({ rows }) => pairs('native; our JavaScript engine: ', rows)),
      ...pairs('clip, Adam, zero, EMA in one step; ', fused),
      ...measured(sparse, ({ rows }) => pairs('sparse Adam; ', rows)),
      ...measured(modelFit, ({ rows }) => pairs('model.fit with schuss/tfjs, with tf.train.adam: ', rows)),
      ...measured(neighbour, ({ rows }) =>
        rows.map((row) => [
          `${row.threads} threads; one: Adam beside a burning process, means`,
          size(row.n),
          number(row.threadsNs),
          number(row.oneThreadNs),
          times(row.ratio),
          '',
        ]),
      ),
      ...measured(eventLoop, ({ n, msPerStep, delayMs, idleDelayMs }) => [
        [
          `stepAsync, Adam: timers late by p50 ${delayMs.p50} ms, p99 ${delayMs.p99} ms (idle: ${idleDelayMs.p50}, ${idleDelayMs.p99})`,
          size(n),
          number(1e6 * msPerStep),
          '–',
          '–',
          '',
        ],
      ]),
    ],
    notes: Object.entries(maybe).flatMap(([what, value]) =>
      isSkipped(value) ? [`${what} left out: ${value.skipped}`] : [],
    ),
  };
}
