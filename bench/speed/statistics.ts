/** Median and quartiles of a measured quantity. */
export interface Summary {
  readonly low: number;
  readonly median: number;
  readonly high: number;
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

/** The ratio within each round that both have. */
export function ratioOf(a: readonly number[], b: readonly number[]): Summary {
  const rounds = Math.min(a.length, b.length);
  return summaryOf(a.slice(0, rounds).map((value, i) => value / (b[i] as number)));
}

export function scaled(values: readonly number[], factor: number): Summary {
  return summaryOf(values.map((value) => value * factor));
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
