import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { fallbackReason } from '../engine/backend.js';
import { currentTarget, targetName } from '../engine/prebuilds.js';
import {
  type Contender,
  type ContenderName,
  checkAgreement,
  contendersOf,
  gradsOf,
  type Task,
  type Update,
  updates,
} from './bench/contenders.js';
import type { BenchResults, BenchRow } from './bench/results.js';
import { alternate, type Pace, type Summary, summaryOf } from './bench/rounds.js';
import { size, tableOf } from './bench/table.js';
import { CliError } from './cli-error.js';
import { running } from './info.js';

export interface BenchOptions {
  /** Print JSON instead of a table. */
  readonly json?: boolean;
  /** Numbers of elements of the single tensors, as typed. Default: 1e3, 1e4, 1e5, 1e6 and 1e7. */
  readonly sizes?: readonly string[];
}

/** Seconds for all rounds. A comparison has three rounds at least, also if they take longer. */
const budget = 12;
/** Seconds that a slow machine may take: a comparison that would exceed them has fewer rounds, or is left out. */
const limit = 25;
const [fewest, most] = [1, 1e9];

/** @throws CliError for a size that is not an integer in range */
function sizesOf(given: readonly string[] = ['1e3', '1e4', '1e5', '1e6', '1e7']): number[] {
  const sizes = given.map((text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < fewest || value > most || text.trim() === '')
      throw new CliError(`schuss bench: --sizes: ${text}, expected an integer in [1, 1e9]`);
    return value;
  });
  return [...new Set(sizes)].sort((a, b) => a - b);
}

/** All tasks in the order of the table: by update, then by size. */
function tasksOf(sizes: readonly number[]): Task[] {
  const shapes = [...sizes.map((elements) => ({ elements, tensors: 1 })), { elements: 200_000, tensors: 200 }];
  return (Object.keys(updates) as Update[]).flatMap((update) => shapes.map((shape) => ({ update, ...shape })));
}

/** Arrays of a task's size that three contenders need: params and two states each, and the gradients. */
const arraysOfTask = 10;

function measure(task: Task, pace: Pace): BenchRow {
  const contenders = contendersOf(task);
  try {
    const grads = gradsOf(task);
    const seconds = alternate(
      contenders.map((contender: Contender) => () => contender.step(grads)),
      pace,
    );
    const of = (name: ContenderName): readonly number[] | undefined =>
      seconds[contenders.findIndex((contender) => contender.name === name)];
    const ns = (values: readonly number[]): Summary => summaryOf(values.map((s) => (1e9 * s) / task.elements));
    const [native, js, loop] = [of('native'), of('js') as readonly number[], of('loop') as readonly number[]];
    const overNative = (values: readonly number[]): Summary | null =>
      native === undefined ? null : summaryOf(values.map((value, i) => value / (native[i] as number)));
    return {
      optimizer: task.update,
      elements: task.elements,
      tensors: task.tensors,
      rounds: js.length,
      native: native === undefined ? null : ns(native),
      js: ns(js),
      loop: ns(loop),
      jsOverNative: overNative(js),
      loopOverNative: overNative(loop),
    };
  } finally {
    for (const contender of contenders) contender.dispose();
  }
}

/** The most rounds, up to three, that a task can have in `seconds`, judged by the rows so far of its update. */
function roundsWithin(seconds: number, { update, elements }: Task, rows: Iterable<BenchRow>): number {
  const known = [...rows].filter((row) => row.optimizer === update && row.tensors === 1).at(-1);
  const nsPerParam = known === undefined ? 0 : known.js.high + known.loop.high + (known.native?.high ?? 0);
  const step = 1e-9 * nsPerParam * elements;
  // The first step of each contender is not timed, and takes longer because it touches memory for the first time.
  for (const rounds of [3, 1]) if ((rounds + 2) * step <= seconds) return rounds;
  return 0;
}

/** Shows a line that the next one overwrites, only on a terminal. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

/**
 * Measures a step of the native backend beside one of the JavaScript backend and a plain loop.
 * @throws CliError for bad options, and if the environment demands a backend that this machine does not have
 */
export function bench({ json = false, sizes }: BenchOptions = {}): string {
  const tasks = tasksOf(sizesOf(sizes));
  const { name, isa, threads, version } = running();
  const start = performance.now();
  for (const update of Object.keys(updates) as Update[]) {
    const task = { update, elements: 3000, tensors: 3 };
    const contenders = contendersOf(task);
    checkAgreement(task, contenders);
    for (const contender of contenders) contender.dispose();
  }
  const rows = new Map<Task, BenchRow>();
  const leftOut: string[] = [];
  // Small steps come first: V8 optimizes code best that has seen little. Large ones are left out first if time runs out.
  const bySize = [...tasks].sort((a, b) => a.elements - b.elements);
  for (const [i, task] of bySize.entries()) {
    const name = `${task.update}, ${size(task.elements)}`;
    progress(`${i + 1} of ${tasks.length}: ${name}`);
    const spent = (performance.now() - start) / 1000;
    const fewestRounds = roundsWithin(limit - spent, task, rows.values());
    if (fewestRounds === 0) leftOut.push(`${name} left out: it would take too long`);
    else if (arraysOfTask * task.elements * Float32Array.BYTES_PER_ELEMENT > 0.9 * freemem())
      leftOut.push(`${name} left out: not enough free memory`);
    else rows.set(task, measure(task, { budget: (budget - spent) / (tasks.length - i), fewestRounds }));
  }
  progress('');
  const fallback = fallbackReason();
  const results: BenchResults = {
    schuss: version,
    backend: name,
    isa,
    threads,
    ...(fallback === undefined ? {} : { fallback }),
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: targetName(currentTarget()),
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    seconds: Number(((performance.now() - start) / 1000).toFixed(1)),
    rows: tasks.flatMap((task) => rows.get(task) ?? []),
    leftOut,
  };
  return json ? JSON.stringify(results, undefined, 2) : tableOf(results);
}
