import { measuring } from './cases.js';
import { number, size, times } from './format.js';
import {
  type Found,
  fusedRatio,
  fusedTorch,
  nativeRatio,
  nearest,
  neighbourRatio,
  ofLimit,
  ofRows,
  recommenderByHand,
  sparseByHand,
  sparseNs,
  speedup,
  unfusedTorch,
} from './found.js';
import { type ClassRow, isSkipped, type PeerRow, type Results, type SparseRow } from './results.js';
import { type Method, methods } from './task.js';

/** A goal and its measured value. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  /** Undefined if it was not measured. */
  readonly reached: boolean | undefined;
}

/** Goals in cache, where arithmetic and not memory takes the time. */
const cacheLimits: readonly (readonly [readonly string[], number])[] = [
  [['SGD', 'SGD, momentum'], 1.1],
  [['Adam'], 1.45],
  [['Adagrad', 'RMSprop'], 1.6],
];

/** For each size of a batch. */
const recommenderGoals = [
  [16, 1.5],
  [256, 2.5],
  [4096, 4],
] as const;

/** Goals that this benchmark cannot measure, and why. */
const elsewhere: readonly (readonly [what: string, goal: string, why: string])[] = [
  [
    'sparse step against FBGEMM’s exact kernels',
    '≤ 1.05×',
    'FBGEMM is a C++ library without a package for Node; bench/README.md has a measurement by hand',
  ],
  [
    'sparse step against torch’s sparse Adagrad and SparseAdam, 1e4 rows',
    '≥ 12×',
    'its steps alone are not a peer yet',
  ],
];

const inCache = (n: number): boolean => n >= 1e5 && n <= 1e6;
const outOfCache = (n: number): boolean => n >= 1e7;

/** All goals of the project for speed. */
export function goalsOf(results: Results): Goal[] {
  const { threads } = results.settings;
  const most = Math.max(...threads);
  const atMost = (what: string, bound: number, found: Found, show = times): Goal =>
    judged(what, `≤ ${show(bound)}`, found, show, (value) => value <= bound);
  const atLeast = (what: string, bound: number, found: Found): Goal =>
    judged(what, `≥ ${times(bound)}`, found, times, (value) => value >= bound);
  const lars = ['LARS', 'LAMB'];
  const onePass = ({ optimizer }: ClassRow): boolean => !measuring.includes(optimizer) && optimizer !== 'Adafactor';
  const several = (found: () => Found): Found => (most === 1 ? 'only one thread was asked for' : found());
  const on = (threads: number): string => (threads === 1 ? 'one thread' : `${threads} threads`);

  const inCacheGoals: readonly (readonly [Method, number])[] = [
    ['sgd', 1.1],
    ['momentum', 1.2],
    ['adagrad', 1.5],
    ['adam', 1.6],
    ['adamw', 1.6],
  ];
  const manyGoals: readonly (readonly [Method, number])[] = [
    ['sgd', 12],
    ['momentum', 12],
    ['adagrad', 20],
    ['adam', 25],
    ['adamw', 25],
  ];
  const flat = (row: PeerRow, threads: number): boolean => row.tensors === 1 && row.threads === threads;
  const fused = (what: string, bound: number, wanted: (row: PeerRow) => boolean): Goal =>
    atLeast(`PyTorch’s fused step: ${what}`, bound, fusedTorch(results, bound, wanted));

  return [
    ...inCacheGoals.map(([method, bound]) =>
      fused(
        `${methods[method].label}, 1e5 to 1e6, one thread`,
        bound,
        (row) => row.method === method && flat(row, 1) && inCache(row.n),
      ),
    ),
    ...inCacheGoals.map(([method, bound]) =>
      fused(
        `${methods[method].label}, 1e6 and 4e6, two threads`,
        bound,
        (row) => row.method === method && flat(row, 2) && [1e6, 4e6].includes(row.n),
      ),
    ),
    ...[1, 2].flatMap((threads) => [
      fused(
        `all but momentum, 2e7 and 1e8, ${on(threads)}`,
        1,
        (row) => row.method !== 'momentum' && flat(row, threads) && row.n >= 2e7,
      ),
      fused(
        `momentum, 2e7 and 1e8, ${on(threads)}`,
        1.2,
        (row) => row.method === 'momentum' && flat(row, threads) && row.n >= 2e7,
      ),
    ]),
    fused('all, 1e3', 60, (row) => flat(row, 1) && row.n === 1e3),
    ...manyGoals.map(([method, bound]) =>
      fused(`${methods[method].label}, 200 tensors of 1000`, bound, (row) => row.method === method && row.tensors > 1),
    ),
    atLeast('PyTorch’s fastest of RMSprop, NAdam, Adamax, Adadelta, any size', 2, unfusedTorch(results, 2)),
    atLeast('DeepSpeed CPUAdam in cache, 1e5 to 1e6', 1.5, nearest(results, 'deepspeed', inCache)),
    atLeast('DeepSpeed CPUAdam out of it, n ≥ 1e7', 1, nearest(results, 'deepspeed', outOfCache)),
    atMost(
      'every first-order class in one walk against the limit loop, n ≥ 1e7, one thread',
      1.1,
      ofLimit(results, 1.1, (row) => row.threads === 1 && outOfCache(row.n) && onePass(row)),
    ),
    atMost(
      `the same, ${on(most)}`,
      1.15,
      several(() => ofLimit(results, 1.15, (row) => row.threads === most && outOfCache(row.n) && onePass(row))),
    ),
    ...cacheLimits.map(([names, bound]) =>
      atMost(
        `${names.join(', ')} against the limit loop in cache, 1e4 to 1e6`,
        bound,
        ofLimit(
          results,
          bound,
          (row) => row.threads === 1 && row.n >= 1e4 && row.n <= 1e6 && names.includes(row.optimizer),
        ),
      ),
    ),
    atMost(
      'LARS, LAMB against the limit loop, n ≥ 1e7',
      2,
      ofLimit(results, 2, (row) => row.threads === 1 && outOfCache(row.n) && lars.includes(row.optimizer)),
    ),
    atMost(
      'the other classes that measure before they update',
      2,
      ofLimit(
        results,
        2,
        ({ threads, n, optimizer }) =>
          threads === 1 && outOfCache(n) && measuring.includes(optimizer) && !lars.includes(optimizer),
      ),
    ),
    atMost(
      'Adafactor against the limit loop, n ≥ 1e7',
      3.2,
      ofLimit(results, 3.2, (row) => row.threads === 1 && outOfCache(row.n) && row.optimizer === 'Adafactor'),
    ),
    atLeast(
      `${most} threads against one, n ≥ 4e6`,
      1.8,
      several(() => speedup(results, (row) => row.threads === most && row.n >= 4e6)),
    ),
    atLeast('the same beside a busy process, means', 1, neighbourRatio(results)),
    atLeast(
      'best JavaScript loop, Adam, 1e4 to 1e6',
      14,
      nearest(results, 'js', (n) => n >= 1e4 && n <= 1e6),
    ),
    atLeast(
      'best JavaScript loop, Adam, 2e7 and 1e8',
      6.5,
      nearest(results, 'js', (n) => n >= 2e7),
    ),
    atLeast(
      'TensorFlow.js wasm, Adam, 1e7',
      8,
      nearest(results, 'tfjs-wasm', (n) => n === 1e7),
    ),
    atLeast(
      'TensorFlow.js cpu, Adam, 1e7',
      250,
      nearest(results, 'tfjs-cpu', (n) => n === 1e7),
    ),
    atLeast(
      'jax-js wasm, Adam, 1e7',
      8,
      nearest(results, 'jax-js', (n) => n === 1e7),
    ),
    ...results.fixedCost.map((row) =>
      atMost(
        `fixed cost of a step, ${row.optimizer}, one tensor of ${row.n}`,
        row.optimizer === 'SGD' ? 80 : 100,
        { value: row.ns.median, about: '' },
        (ns) => `${number(ns)} ns`,
      ),
    ),
    ...results.manyTensors
      .filter(({ what }) => what === 'Adam')
      .map(({ ratio }) => atMost('200 × 1000 against one flat tensor, Adam', 1.15, { value: ratio.median, about: '' })),
    ...recommenderGoals.map(([batch, bound]) =>
      atLeast(
        `a recommender by hand, AdaGrad, batches of ${batch}: scores, gradients and step`,
        bound,
        recommenderByHand(results, batch),
      ),
    ),
    ...sparseGoals(results, atMost),
    atLeast('best JavaScript loop over rows, Adam, 1e4 rows', 8, sparseByHand(results)),
    atLeast('clip + zero + EMA in one pass against separate passes', 1.4, fusedRatio(results)),
    eventLoopGoal(results),
    atLeast('native against our JavaScript, from 16 elements up', 1, nativeRatio(results)),
    ...elsewhere.map(([what, goal, why]) => judged(what, goal, why, times, () => false)),
  ];
}

/** Steps on rows of tables. */
function sparseGoals(
  results: Results,
  atMost: (what: string, bound: number, found: Found, show?: (value: number) => string) => Goal,
): Goal[] {
  const ofKind = (isPerRow: boolean, names: SparseRow['names'], bound: number): Found =>
    ofRows(results, bound, 'ofLimit', (row) => row.width > 1 && row.isPerRow === isPerRow && row.names === names);
  const bounds = [
    ['uniform', 'names drawn uniformly', 1.5, 1.75],
    ['zipf', 'names drawn by Zipf’s law', 1.9, 2.2],
    ['ascending', 'ascending unique names', 1.2, 1.35],
  ] as const;
  const ns = (value: number): string => `${number(value)} ns`;
  return [
    ...bounds.flatMap(([names, what, elementWise, rowWise]) => [
      atMost(
        `sparse step against the limit loop, ${what}, element-wise`,
        elementWise,
        ofKind(false, names, elementWise),
      ),
      atMost(`sparse step against the limit loop, ${what}, row-wise`, rowWise, ofKind(true, names, rowWise)),
    ]),
    atMost(
      'sparse step on a table of new Float32Array against an aligned one, width 16',
      1.15,
      ofRows(results, 1.15, 'ofAligned', ({ width }) => width === 16),
    ),
    atMost(
      'sparse step against the limit loop, width 1, 1e7 rows',
      1.6,
      ofRows(results, 1.6, 'ofLimit', ({ width, total }) => width === 1 && total === 1e7),
    ),
    atMost('fixed cost of a sparse step, Adam, one table, the same arrays again', 250, sparseNs(results, 'oneNs'), ns),
    atMost('the same, each more table', 150, sparseNs(results, 'moreNs'), ns),
    atMost('stepAsync with 256 rows: the call on the main thread', 5000, sparseNs(results, 'asyncCallNs'), ns),
  ];
}

function judged(
  what: string,
  goal: string,
  found: Found,
  show: (value: number) => string,
  holds: (value: number) => boolean,
): Goal {
  if (typeof found === 'string') return { what, goal, measured: `not measured (${found})`, reached: undefined };
  return {
    what,
    goal,
    measured: `${show(found.value)}${found.about === '' ? '' : ` (${found.about})`}`,
    reached: holds(found.value),
  };
}

function eventLoopGoal({ eventLoop }: Results): Goal {
  const at = 1e8;
  const found = ((): Found => {
    if (isSkipped(eventLoop)) return eventLoop.skipped;
    if (eventLoop.n < at) return `a quick run steps ${size(eventLoop.n)}`;
    return { value: eventLoop.delayMs.p99, about: `an idle process: ${eventLoop.idleDelayMs.p99} ms` };
  })();
  return judged(
    'event loop while stepAsync steps 1e8 parameters, delay p99',
    '≤ 5 ms',
    found,
    (ms) => `${number(ms)} ms`,
    (ms) => ms <= 5,
  );
}
