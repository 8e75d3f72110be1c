import type { Backend } from '../../index.js';
import type { Update } from './contenders.js';
import type { Summary } from './rounds.js';

/** One update at one size. Times are in nanoseconds per parameter; `native` and the ratios are null without an addon. */
export interface BenchRow {
  readonly optimizer: Update;
  readonly elements: number;
  readonly tensors: number;
  readonly rounds: number;
  readonly native: Summary | null;
  readonly js: Summary;
  readonly loop: Summary;
  /** The time of the JavaScript backend divided by that of native, round by round. */
  readonly jsOverNative: Summary | null;
  /** The time of the plain loop divided by that of native, round by round. */
  readonly loopOverNative: Summary | null;
}

export interface BenchResults {
  readonly schuss: string;
  readonly backend: Backend['name'];
  readonly isa: string;
  readonly threads: number;
  /** Why there is no native backend, if there is none. */
  readonly fallback?: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  readonly date: string;
  readonly seconds: number;
  readonly rows: readonly BenchRow[];
  /** Sizes that were not measured, and why. */
  readonly leftOut: readonly string[];
}
