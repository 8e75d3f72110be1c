import { setThreads } from '../common/schuss.js';
import { alternate, type Contender, paceFor, secondsOf, stepping } from './alternate.js';
import { type Case, casesOf, paramsOf, statesOf, stepOf } from './cases.js';
import type { Context } from './context.js';
import { bytesPerParam, Limit } from './limit.js';
import type { ClassRow, Results } from './results.js';
import { ratioOf, scaled } from './statistics.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

interface Memory {
  readonly n: number;
  readonly param: Float32Array;
  readonly grad: Float32Array;
  readonly limit: Limit | undefined;
}

/** Every class at every size and number of threads, beside the limit loop that moves as much memory. */
export async function classRows({ settings, say }: Context): Promise<Results['classes']> {
  const rows: ClassRow[] = [];
  const leftOut: string[] = [];
  for (const n of settings.sizes) {
    try {
      checkMemory(n, 12);
      const memory = { n, param: new Float32Array(n), grad: fillGrads(new Float32Array(n)), limit: Limit.of(n) };
      for (const item of casesOf(settings.classes)) {
        say(`${item.label}, n = ${n}`);
        rows.push(...(await oneCase(item, memory, settings)));
      }
    } catch (error) {
      leftOut.push(`n = ${n}: ${(error as Error).message}`);
    }
  }
  setThreads(1);
  return { rows, leftOut };
}

async function oneCase(item: Case, memory: Memory, settings: Context['settings']): Promise<ClassRow[]> {
  const { n, param, grad, limit } = memory;
  const states = statesOf(item);
  const optimizer = new item.Class(paramsOf(item, fillStart(param)), item.options);
  const contenders = settings.threads.flatMap((threads): Contender[] => {
    const bound = limit?.contender(states, threads, `limit ${threads}`);
    const steps = stepping(
      `schuss ${threads}`,
      () => stepOf(item.Class, optimizer, grad),
      () => setThreads(threads),
    );
    const ours = { ...steps, tries: true };
    return bound === undefined ? [ours] : [ours, bound];
  });
  const outcomes = await alternate(contenders, paceFor(n, settings.pace));
  optimizer.dispose();
  const one = secondsOf(outcomes, 'schuss 1');
  return settings.threads.map((threads) => {
    const ours = secondsOf(outcomes, `schuss ${threads}`);
    const name = `limit ${threads}`;
    const limits = outcomes.has(name) ? secondsOf(outcomes, name) : undefined;
    const nsPerParam = scaled(ours, 1e9 / n);
    return {
      optimizer: item.label,
      n,
      threads,
      bytesPerParam: bytesPerParam(states),
      nsPerParam,
      gbPerSecond: Number((bytesPerParam(states) / nsPerParam.median).toPrecision(4)),
      limitNsPerParam: limits === undefined ? null : scaled(limits, 1e9 / n),
      ofLimit: limits === undefined ? null : ratioOf(ours, limits),
      speedup: ratioOf(one, ours),
    };
  });
}
