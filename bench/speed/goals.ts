import { number, size, times } from './format.js';
import {
  type Found,
  fastestTorch,
  found,
  fusedRatio,
  nativeRatio,
  nearest,
  neighbourRatio,
  ofLimit,
  speedup,
} from './found.js';
import { type ClassRow, isSkipped, type Results } from './results.js';

/** A goal and its measured value. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  /** Undefined if it was not measured. */
  readonly reached: boolean | undefined;
}

const inCache = (n: number): boolean => n >= 1e5 && n <= 1e6;
const outOfCache = (n: number): boolean => n >= 1e7;

/** All goals of the project for speed. */
export function goalsOf(results: Results): Goal[] {
  const { sizes, threads } = results.settings;
  const most = Math.max(...threads);
  const atMost = (what: string, bound: number, found: Found, show = times): Goal =>
    judged(what, `≤ ${show(bound)}`, found, show, (value) => value <= bound);
  const atLeast = (what: string, bound: number, found: Found): Goal =>
    judged(what, `≥ ${times(bound)}`, found, times, (value) => value >= bound);
  const divides = (row: ClassRow): boolean => ['Adam', 'Adagrad', 'RMSprop'].includes(row.optimizer);
  const plain = (row: ClassRow): boolean => row.optimizer.startsWith('SGD');

  return [
    atMost(
      'every first-order optimizer against the limit loop, n ≥ 1e7, one thread',
      1.1,
      ofLimit(results, 1.1, (row) => row.threads === 1 && outOfCache(row.n)),
    ),
    atMost(
      `the same with ${most} threads`,
      1.15,
      most === 1
        ? 'only one thread was asked for'
        : ofLimit(results, 1.15, (row) => row.threads === most && outOfCache(row.n)),
    ),
    atLeast(
      `${most} threads against one, n ≥ 1e7`,
      1.7,
      most === 1
        ? 'only one thread was asked for'
        : speedup(results, (row) => row.threads === most && outOfCache(row.n)),
    ),
    atLeast('the same beside a busy process, means', 1, neighbourRatio(results)),
    atMost(
      'Adam, Adagrad, RMSprop against the limit loop in cache, 1e5 to 1e6',
      1.25,
      ofLimit(results, 1.25, (row) => row.threads === 1 && inCache(row.n) && divides(row)),
    ),
    atMost(
      'SGD, momentum against the limit loop in cache, 1e5 to 1e6',
      1.1,
      ofLimit(results, 1.1, (row) => row.threads === 1 && inCache(row.n) && plain(row)),
    ),
    judged(
      'DeepSpeed CPUAdam',
      '≥ 1.3× in cache, ≥ 1.1× out of it',
      'the benchmark has no DeepSpeed',
      times,
      () => false,
    ),
    atLeast('PyTorch’s fastest Adam, 5e7', 8, fastestTorch(results, 5e7, 1)),
    atLeast('PyTorch’s fastest Adam, 200 tensors of 1000', 30, fastestTorch(results, 200_000, 200)),
    atLeast(
      'best JavaScript loop, Adam, n ≤ 1e6',
      14,
      nearest(
        results,
        'js',
        sizes.filter((n) => n <= 1e6),
      ),
    ),
    atLeast('best JavaScript loop, Adam, 5e7', 6.5, found(results, 'js', 5e7)),
    atLeast('TensorFlow.js wasm, Adam, 1e7', 8, found(results, 'tfjs-wasm', 1e7)),
    atLeast('TensorFlow.js cpu, Adam, 1e7', 250, found(results, 'tfjs-cpu', 1e7)),
    atLeast('jax-js wasm, Adam, 1e7', 8, found(results, 'jax-js', 1e7)),
    ...results.fixedCost.map((row) =>
      atMost(
        `fixed cost of a step, ${row.optimizer}, one tensor of ${row.n}`,
        100,
        { value: row.ns.median, about: '' },
        (ns) => `${number(ns)} ns`,
      ),
    ),
    ...results.manyTensors
      .filter(({ what }) => what === 'Adam')
      .map(({ ratio }) => atMost('200 × 1000 against one flat tensor, Adam', 1.15, { value: ratio.median, about: '' })),
    atLeast('clip + zero + EMA in one pass against separate passes', 1.4, fusedRatio(results)),
    eventLoopGoal(results),
    atLeast('native against our JavaScript, from 16 elements up', 1, nativeRatio(results)),
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
