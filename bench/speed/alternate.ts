import { setTimeout } from 'node:timers/promises';
import { collect } from '../common/collect.js';
import { isCoreShared } from './core.js';

/** One of the implementations compared. */
export interface Contender {
  readonly name: string;
  /** Whether it tries several manners in its first steps, as schuss does: numbers of threads, and whether to prefetch. */
  readonly tries?: boolean;
  /** Takes this many steps and returns the seconds that they took. */
  run(steps: number): number | Promise<number>;
}

/** How long a comparison takes. */
export interface Pace {
  readonly rounds: number;
  /** Duration of a sample in seconds. A sample has as many steps as fit, and at least one. */
  readonly seconds: number;
  /** Seconds that a contender runs before it is measured. */
  readonly warmup: number;
  /** The same for tensors of less than 1e5 elements. Their steps are mostly JavaScript, which V8 compiles several times as it runs. */
  readonly smallWarmup?: number;
  /** Steps that one that tries takes then, at least. */
  readonly triedSteps?: number;
  /** Seconds of silence before each sample. Threads of OpenMP spin for some milliseconds after a step, in others' time. */
  readonly rest?: number;
  /**
   * Seconds from its start after which a comparison no longer waits for a core that nobody else uses. Only where all contenders
   * run in this thread, and do not wait for memory.
   */
  readonly patience?: number;
}

/** The seconds of a contender's step, one value for each round it took part in, or the reason why there are none. */
export type Outcome = { readonly seconds: readonly number[] } | { readonly failed: string };

// A slow contender drops out once it has spent `most` times its share of the time, but not before `fewest` rounds.
const most = 10;
const fewest = 3;
/** A first step of this many seconds counts as warm-up. */
const slow = 0.5;

/** A contender that steps in this thread. `before` runs once before the steps and is not timed. */
export function stepping(name: string, step: () => void, before?: () => void): Contender {
  return {
    name,
    run(steps) {
      before?.();
      const start = performance.now();
      for (let i = 0; i < steps; i++) step();
      return (performance.now() - start) / 1000;
    },
  };
}

/** Like {@link stepping}, but `before` runs before each step. For steps of at least some microseconds. */
export function preparedStepping(name: string, step: () => void, before: () => void): Contender {
  return {
    name,
    run(steps) {
      let milliseconds = 0;
      for (let i = 0; i < steps; i++) {
        before();
        const start = performance.now();
        step();
        milliseconds += performance.now() - start;
      }
      return milliseconds / 1000;
    },
  };
}

/** Warms up, and returns the number of steps in a sample. */
async function stepsOfSample(contender: Contender, { seconds, warmup, triedSteps = 0 }: Pace): Promise<number> {
  // The first step touches memory for the first time and may take ten times as long as the next one.
  let last = await contender.run(1);
  let [steps, taken] = [1, 1];
  // V8 compiles loops again as they run.
  for (let spent = last > slow ? last : 0; spent < warmup; spent += last) {
    last = await contender.run(steps);
    taken += steps;
    if (spent + last < warmup) steps *= 2;
  }
  if (contender.tries === true && taken < triedSteps) {
    steps = triedSteps - taken;
    last = await contender.run(steps);
  }
  return Math.max(1, Math.round((seconds * steps) / last));
}

/** The pace for tensors of n elements. */
export function paceFor(n: number, pace: Pace): Pace {
  return n < 1e5 ? { ...pace, warmup: pace.smallWarmup ?? pace.warmup } : pace;
}

/**
 * The pace of comparisons in this thread that do not wait for memory. The samples are short, because often nobody else uses the core
 * for some milliseconds only.
 */
export function aloneOnCore(pace: Pace, isQuick: boolean): Pace {
  const [warmup, patience] = isQuick ? [0.2, 0.5] : [0.5, 30];
  return { ...pace, rounds: 3 * pace.rounds, seconds: 0.0005, warmup, patience };
}

/** Takes samples while nobody else uses the core, until the patience is at its end. */
function waiting({ patience = 0 }: Pace): (sample: () => Promise<number>) => Promise<number> {
  const end = performance.now() + 1000 * patience;
  return async (sample) => {
    for (;;) {
      const wasShared = isCoreShared();
      const mayWait = performance.now() < end;
      if (wasShared && mayWait) {
        await setTimeout(2);
        continue;
      }
      const seconds = await sample();
      if (!mayWait || !isCoreShared()) return seconds;
    }
  };
}

/**
 * Measures contenders in turn, A B C A B C …, so that other load on the machine affects all of them alike. A contender that
 * throws is left out from then on.
 */
export async function alternate(contenders: readonly Contender[], pace: Pace): Promise<Map<string, Outcome>> {
  const entries = contenders.map((contender) => ({ contender, steps: 1, spent: 0, seconds: [] as number[] }));
  const outcomes = new Map<string, Outcome>();
  for (const { contender, seconds } of entries) outcomes.set(contender.name, { seconds });

  const attempt = async (name: string, action: () => Promise<void>): Promise<void> => {
    try {
      await action();
    } catch (error) {
      outcomes.set(name, { failed: (error as Error).message });
    }
  };
  await collect();
  const wait = waiting(pace);
  for (const entry of entries) {
    await attempt(entry.contender.name, async () => {
      if (pace.rest !== undefined) await setTimeout(1000 * pace.rest);
      entry.steps = await stepsOfSample(entry.contender, pace);
    });
  }
  for (let round = 0; round < pace.rounds; round++) {
    for (const entry of entries) {
      const { contender, steps, seconds } = entry;
      if ('failed' in (outcomes.get(contender.name) as Outcome)) continue;
      if (round >= fewest && entry.spent > most * pace.rounds * pace.seconds) continue;
      await attempt(contender.name, async () => {
        if (pace.rest !== undefined) await setTimeout(1000 * pace.rest);
        const time = await wait(async () => {
          // The first steps are not timed: the others have filled the cache meanwhile, and the system may have taken back memory
          // that nobody used.
          await contender.run(Math.ceil(steps / 3));
          return contender.run(steps);
        });
        entry.spent += time;
        seconds.push(time / steps);
      });
    }
  }
  return outcomes;
}

/** The seconds of a contender that must not fail, because it is our own. @throws Error if it did */
export function secondsOf(outcomes: ReadonlyMap<string, Outcome>, name: string): readonly number[] {
  const outcome = outcomes.get(name) as Outcome;
  if ('failed' in outcome) throw new Error(`bench: ${name}: ${outcome.failed}`);
  return outcome.seconds;
}
