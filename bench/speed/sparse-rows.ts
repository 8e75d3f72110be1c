import { Random } from '../common/random.js';
import { Adagrad, Adam, allocate, FTRL, type OptimizerClass } from '../common/schuss.js';
import { aloneOnCore, alternate, type Contender, secondsOf, stepping } from './alternate.js';
import type { Context } from './context.js';
import { noLimit, type RowTask, rowLimit } from './limit.js';
import { uniform, zipf } from './recommender/batches.js';
import type { Measured, SparseCost, SparseRow } from './results.js';
import { ratioOf, scaled } from './statistics.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

/** How the names of a batch are drawn. */
const draws = {
  uniform,
  zipf,
  ascending: (random: () => number, total: number, count: number): Int32Array =>
    // One name from each of `count` equal parts of the table.
    Int32Array.from({ length: count }, (_, i) => Math.floor(((i + random()) * total) / count)),
} as const;
type Names = keyof typeof draws;

interface Case {
  readonly label: string;
  readonly Class: OptimizerClass;
  readonly options: object;
  readonly states: number;
  readonly isPerRow: boolean;
  readonly width: number;
  readonly total: number;
}

const adagrad = { label: 'AdaGrad', Class: Adagrad, options: { lr: 0.01 }, states: 1, isPerRow: false };
const rowWise = {
  label: 'row-wise AdaGrad',
  Class: Adagrad,
  options: { lr: 0.01, rowWise: true },
  states: 1,
  isPerRow: true,
};

function casesOf(total: number): readonly Case[] {
  const wide = [16, 64].flatMap((width) => [adagrad, rowWise].map((each) => ({ ...each, width, total })));
  return [
    ...wide,
    { label: 'FTRL', Class: FTRL, options: {}, states: 2, isPerRow: false, width: 1, total: 10 * total },
  ];
}

function taskOf({ total, width, states, isPerRow }: Case, names: Names, touched: number): RowTask {
  const stream = new Random(width, names);
  const random = (): number => stream.uniform();
  // Each step touches other rows, as mini-batches do.
  const batches = Array.from({ length: 8 }, () => ({
    rows: draws[names](random, total, touched),
    values: fillGrads(allocate(touched * width)),
  }));
  return { total, width, states, isPerRow, batches };
}

/** Steps of a class on a table in memory that `make` has allocated. */
function stepsOf(name: string, { Class, options }: Case, task: RowTask, make: (n: number) => Float32Array): Contender {
  const { total, width, batches } = task;
  const optimizer = new Class({ data: fillStart(make(total * width)), shape: [total, width] }, options);
  // The first step on a row brings its state into memory: a page fault takes longer than many rows.
  for (const batch of batches) optimizer.step(batch);
  let turn = 0;
  return stepping(name, () => void optimizer.step(batches[turn++ % batches.length]!));
}

/** Steps on some rows of a table, against a loop that moves the same memory. */
export async function sparseRows({ settings, say }: Context): Promise<Measured<{ rows: SparseRow[] }>> {
  const { sparseRows: total, touchedRows } = settings.special;
  const rows: SparseRow[] = [];
  try {
    for (const each of casesOf(total)) {
      // The table, its state, and the same for the limit and for the aligned table.
      checkMemory(each.total * each.width, 3 * (1 + each.states));
      for (const names of ['uniform', 'zipf', 'ascending'] as const) {
        say(`rows of ${each.width}, ${each.label}, ${names}`);
        const task = taskOf(each, names, touchedRows);
        const limit = rowLimit('limit', task);
        if (limit === undefined) return { skipped: noLimit };
        const outcomes = await alternate(
          [
            stepsOf('step', each, task, (n) => new Float32Array(n)),
            limit,
            ...(each.width === 16 ? [stepsOf('aligned', each, task, allocate)] : []),
          ],
          settings.pace,
        );
        const mine = secondsOf(outcomes, 'step');
        rows.push({
          label: each.label,
          isPerRow: each.isPerRow,
          width: each.width,
          total: each.total,
          touched: touchedRows,
          names,
          ns: scaled(mine, 1e9),
          ofLimit: ratioOf(mine, secondsOf(outcomes, 'limit')),
          ofAligned: outcomes.has('aligned') ? ratioOf(mine, secondsOf(outcomes, 'aligned')) : null,
        });
      }
    }
  } catch (error) {
    return { skipped: (error as Error).message };
  }
  return { rows };
}

function tables(count: number): { optimizer: Adam; grads: { rows: Int32Array; values: Float32Array }[] } {
  const width = 16;
  const params = Array.from({ length: count }, () => ({ data: new Float32Array(1000 * width), shape: [1000, width] }));
  const grads = params.map((_, i) => ({ rows: Int32Array.of(7 * i), values: fillGrads(new Float32Array(width)) }));
  return { optimizer: new Adam(params), grads };
}

function stepsOnTables(count: number): Contender {
  const { optimizer, grads } = tables(count);
  return stepping(String(count), () => void optimizer.step(grads));
}

/** The call of `stepAsync` with 256 rows of 16. The step may run meanwhile; the wait for its end is not timed. */
function asyncCalls(): Contender {
  const [total, touched, width] = [10_000, 256, 16];
  const optimizer = new Adam({ data: allocate(total * width), shape: [total, width] });
  const rows = new Int32Array(allocate(touched).buffer, 0, touched);
  for (let i = 0; i < touched; i++) rows[i] = (i * 7919) % total;
  const grads = { rows, values: fillGrads(allocate(touched * width)) };
  return {
    name: 'async',
    async run(steps) {
      let milliseconds = 0;
      for (let i = 0; i < steps; i++) {
        const start = performance.now();
        const ended = optimizer.stepAsync(grads);
        milliseconds += performance.now() - start;
        await ended;
      }
      return milliseconds / 1000;
    },
  };
}

/** What a step on one row costs: with one table and with eight, the same arrays again. And the call of `stepAsync`. */
export async function sparseCost({ settings, say }: Context): Promise<SparseCost> {
  say('fixed cost of a sparse step');
  const many = 8;
  const outcomes = await alternate(
    [stepsOnTables(1), stepsOnTables(many), asyncCalls()],
    aloneOnCore(settings.pace, settings.quick),
  );
  const [one, all] = [secondsOf(outcomes, '1'), secondsOf(outcomes, String(many))];
  const rounds = Math.min(one.length, all.length);
  const more = Array.from({ length: rounds }, (_, i) => (all[i]! - one[i]!) / (many - 1));
  return { oneNs: scaled(one, 1e9), moreNs: scaled(more, 1e9), asyncCallNs: scaled(secondsOf(outcomes, 'async'), 1e9) };
}
