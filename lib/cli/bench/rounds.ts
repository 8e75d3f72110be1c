/** Median and quartiles. */
export interface Summary {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** Seconds of a sample. A sample has as many steps as fit, and at least one. */
const sample = 0.003;
/** Seconds of warm-up, during which V8 compiles. */
const warmup = 0.03;
const mostRounds = 15;

/** Seconds that `count` steps take. */
function time(step: () => void, count: number): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) step();
  return (performance.now() - start) / 1000;
}

/** Warms up, and returns the number of steps in a sample. */
function stepsOfSample(step: () => void): number {
  // The first step touches memory for the first time and is slow: it says nothing about the next ones.
  let spent = time(step, 1);
  if (spent > 10 * sample) return 1;
  let [steps, last] = [1, spent];
  while (spent < warmup) {
    steps *= 2;
    last = time(step, steps);
    spent += last;
  }
  return Math.max(1, Math.round((sample * steps) / last));
}

/** How long contenders are measured. */
export interface Pace {
  /** Seconds after which no further round starts. */
  readonly budget: number;
  /** Rounds that are made even if the budget is spent. */
  readonly fewestRounds: number;
}

/**
 * Measures contenders in turn, A B C A B C …, so that other load on the machine affects all of them alike.
 * @returns For each contender, the seconds of a step in each round
 */
export function alternate(contenders: readonly (() => void)[], { budget, fewestRounds }: Pace): number[][] {
  const end = performance.now() + 1000 * budget;
  const steps = contenders.map(stepsOfSample);
  const seconds = contenders.map((): number[] => []);
  for (let round = 0; round < mostRounds && (round < fewestRounds || performance.now() < end); round++) {
    for (const [i, step] of contenders.entries()) {
      const count = steps[i] as number;
      // The others have filled the cache in the meantime, so the first steps are not timed. (A sample of one step is too
      // large for a cache.)
      if (count > 1) time(step, Math.ceil(count / 3));
      (seconds[i] as number[]).push(time(step, count) / count);
    }
  }
  return seconds;
}

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] as number;
  return below + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] as number) - below);
}

export function summaryOf(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const digits = (q: number): number => Number(quantile(sorted, q).toPrecision(4));
  return { low: digits(0.25), median: digits(0.5), high: digits(0.75) };
}
