/** One of those that are compared. */
export interface Contender {
  readonly name: string;
  /** Takes so many steps, and tells how many seconds they took. */
  run(steps: number): number | Promise<number>;
}

export interface Pace {
  readonly rounds: number;
  /** How long a sample lasts: as many steps as fit, one at least. */
  readonly seconds: number;
  /** How long a contender runs before it is measured. */
  readonly warmup: number;
}

/** What a contender did: the seconds of a step in each round that it took part in, or why it has none. */
export type Outcome = { readonly seconds: readonly number[] } | { readonly failed: string };

// Whoever is slow drops out when this many times its share of the time is spent, but not before so many rounds.
const patience = 10;
const fewest = 3;
/** Seconds of a step that is not worth repeating to find out how long it takes. */
const slow = 0.5;

/** A contender that steps in this process; `before` is not timed. */
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

/** As {@link stepping}, but `before` comes before each step: for steps that take microseconds at least. */
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

/** Warms up, and finds how many steps make a sample. */
async function stepsOfSample(contender: Contender, { seconds, warmup }: Pace): Promise<number> {
  // The very first step touches memory for the first time: it may take ten times as long as the next.
  let last = await contender.run(1);
  let steps = 1;
  // Loops in JavaScript are compiled and compiled again as they go on.
  for (let spent = last > slow ? last : 0; spent < warmup; spent += last) {
    last = await contender.run(steps);
    if (spent + last < warmup) steps *= 2;
  }
  return Math.max(1, Math.round((seconds * steps) / last));
}

/**
 * Measures contenders in turn, A B C A B C …: whatever else the machine does meanwhile, it does to all of them. One that
 * throws is left out from there on.
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
  for (const entry of entries) {
    await attempt(entry.contender.name, async () => {
      entry.steps = await stepsOfSample(entry.contender, pace);
    });
  }
  for (let round = 0; round < pace.rounds; round++) {
    for (const entry of entries) {
      const { contender, steps, seconds } = entry;
      if ('failed' in (outcomes.get(contender.name) as Outcome)) continue;
      if (round >= fewest && entry.spent > patience * pace.rounds * pace.seconds) continue;
      await attempt(contender.name, async () => {
        // The others have been in the cache meanwhile, and to drive them out takes several steps. (A step that fills a
        // sample alone has no place in a cache.)
        if (steps > 1) await contender.run(Math.ceil(steps / 3));
        const time = await contender.run(steps);
        entry.spent += time;
        seconds.push(time / steps);
      });
    }
  }
  return outcomes;
}
