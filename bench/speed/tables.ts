import { number, size, spread, times } from './format.js';
import { noLimit } from './limit.js';
import { recommenderTables } from './recommender/table.js';
import {
  type ClassRow,
  isSkipped,
  type Measured,
  type PairRow,
  type PeerRow,
  type Results,
  type SparseRow,
} from './results.js';
import type { Table } from './table.js';
import { type Method, methods } from './task.js';

/** All tables in the order of the output. */
export function tablesOf(results: Results): Table[] {
  return [
    ...classTables(results),
    ...peerTables(results),
    ...rowTables(results),
    ...recommenderTables(results),
    pairTable(results),
  ];
}

/** Steps on rows of tables, with a line for each class and a column for each way to draw names. */
function rowTables({ sparseRows, sparseCost }: Results): Table[] {
  if (sparseRows === undefined || isSkipped(sparseRows)) return [];
  const { rows } = sparseRows;
  const draws = unique(rows.map((row) => row.names));
  const keyOf = ({ label, width, total }: SparseRow): string => `${label}, ${size(total)} × ${width}`;
  const cell = (row: SparseRow | undefined): string =>
    row === undefined
      ? '–'
      : [number(row.ns.median / 1000), times(row.ofLimit.median), spread(row.ofLimit)]
          .concat(row.ofAligned === null ? [] : `(aligned table: ${times(row.ofAligned.median)})`)
          .join('  ');
  const cost =
    sparseCost === undefined || isSkipped(sparseCost)
      ? []
      : [
          `A step on one row: ${number(sparseCost.oneNs.median)} ns, and ${number(sparseCost.moreNs.median)} ns for each more table. The call of stepAsync with 256 rows: ${number(sparseCost.asyncCallNs.median)} ns.`,
        ];
  return [
    {
      title: `schuss, ${size(rows[0]?.touched ?? 0)} rows of a table, one thread`,
      head: ['optimizer, table', ...draws],
      rows: unique(rows.map(keyOf)).map((key) => [
        key,
        ...draws.map((names) => cell(rows.find((row) => row.names === names && keyOf(row) === key))),
      ]),
      notes: [
        'µs/step, and our time divided by that of a loop that reads each gradient, and reads and writes the lines of each named row once.',
        ...cost,
      ],
    },
  ];
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** One table for each number of threads, with a line for each class and a column for each size. */
function classTables({ classes: { rows, leftOut } }: Results): Table[] {
  const hasLimit = rows.some((row) => row.ofLimit !== null);
  const notes = [
    `${hasLimit ? 'ns/param, GB/s, and our time divided by that of the limit loop with as many threads' : `ns/param, GB/s; ${noLimit}`}. ± is half the distance between the quartiles.`,
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

/** One table for each method and number of threads, with a line for each peer and a column for each task. */
function peerTables({ against }: Results): Table[] {
  return unique(against.map((row) => row.threads)).flatMap((threads) => {
    const rows = against.filter((row) => row.threads === threads);
    return unique(rows.map((row) => row.method)).map((method) => peerTable(method, threads, rows));
  });
}

function peerTable(method: Method, threads: number, rows: readonly PeerRow[]): Table {
  const own = rows.filter((row) => row.method === method).sort((a, b) => a.tensors - b.tensors || a.n - b.n);
  const columns = unique(own.map(columnOf));
  const cell = ({ measured }: PeerRow): string =>
    isSkipped(measured)
      ? 'left out'
      : `${number(measured.nsPerParam.median)}  ${times(measured.ofOurs.median)}  ${spread(measured.ofOurs)}`;
  return {
    title: `${methods[method].label}, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
    head: ['library', ...columns],
    rows: unique(own.map((row) => row.label)).map((label) => [
      label,
      ...columns.map((column) => {
        const row = own.find((row) => row.label === label && columnOf(row) === column);
        return row === undefined ? '–' : cell(row);
      }),
    ]),
    notes: ['ns/param, and the ratio to the time of schuss in the same round.', ...leftOut(own, method)],
  };
}

function columnOf({ n, tensors }: PeerRow): string {
  return tensors > 1 ? `${tensors} × ${size(n / tensors)}` : size(n);
}

/** Each reason once, with the tasks that were left out. */
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
  const { fixedCost, manyTensors, nativeAgainstJs, fused, matrices, neighbour, sparse, modelFit, eventLoop, settings } =
    results;
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
    'threads beside a busy process': neighbour,
    'sparse gradients': sparse,
    ...(results.sparseRows === undefined ? {} : { 'rows of a table': results.sparseRows }),
    'model.fit of TensorFlow.js': modelFit,
    stepAsync: eventLoop,
  };
  return {
    title: 'schuss, two ways to do the same',
    head: ['first; second', 'n', 'ns/step', 'second', 'second/first', ''],
    rows: [
      ...fixedCost.map(({ optimizer, n, ns }) => [
        `fixed cost of a step, ${optimizer}`,
        size(n),
        number(ns.median),
        '–',
        '–',
        spread(ns),
      ]),
      ...pairs('one flat tensor; 200 tensors of 1000: ', manyTensors),
      ...measured(nativeAgainstJs, ({ rows }) => pairs('native; JavaScript backend: ', rows)),
      ...pairs('clip, Adam, zero and EMA in one step; ', fused),
      ...pairs(`one thread; ${Math.max(...settings.threads)}: `, matrices),
      ...measured(sparse, ({ rows }) => pairs('sparse Adam; ', rows)),
      ...measured(modelFit, ({ rows }) => pairs('model.fit with schuss/tfjs; with tf.train.adam: ', rows)),
      ...measured(neighbour, ({ rows }) =>
        rows.map((row) => [
          `${row.threads} threads; one: Adam beside a busy process, means`,
          size(row.n),
          number(row.threadsNs),
          number(row.oneThreadNs),
          times(row.ratio),
          '',
        ]),
      ),
      ...measured(eventLoop, ({ n, msPerStep, delayMs, idleDelayMs }) => [
        [
          `stepAsync, Adam: delay of timers p50 ${delayMs.p50} ms, p99 ${delayMs.p99} ms (idle: ${idleDelayMs.p50}, ${idleDelayMs.p99})`,
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
