import type { Machine } from './machine.js';
import type { Settings } from './settings.js';
import type { Summary } from './statistics.js';
import type { Method } from './task.js';

// What is saved as JSON, and all that tables, goals and plots are made of. Times are nanoseconds.

/** In place of a number that there is none of, the reason. */
export interface Skipped {
  readonly skipped: string;
}
export type Measured<T> = T | Skipped;

export function isSkipped<T extends object>(value: Measured<T>): value is Skipped {
  return 'skipped' in value;
}

/** A class, with a kernel that its options choose, at one size and thread count. */
export interface ClassRow {
  readonly optimizer: string;
  readonly n: number;
  readonly threads: number;
  readonly bytesPerParam: number;
  readonly nsPerParam: Summary;
  readonly gbPerSecond: number;
  /** The limit loop with as many threads; null where there is none. */
  readonly limitNsPerParam: Summary | null;
  /** Our time over the limit's, round by round. */
  readonly ofLimit: Summary | null;
  /** One thread's time over this one's, round by round. */
  readonly speedup: Summary;
}

/** A peer, schuss or the limit at one task. */
export interface PeerRow {
  readonly method: Method;
  readonly n: number;
  readonly tensors: number;
  readonly peer: string;
  readonly label: string;
  readonly measured: Measured<{
    readonly nsPerParam: Summary;
    /** Its time over ours, round by round. */
    readonly ofOurs: Summary;
  }>;
}

/** Two ways of the same work. */
export interface PairRow {
  readonly what: string;
  readonly n: number;
  /** Of a whole step. */
  readonly ns: Summary;
  readonly otherNs: Summary;
  /** The other's time over ours, round by round. */
  readonly ratio: Summary;
}

export interface FixedCostRow {
  readonly optimizer: string;
  readonly n: number;
  readonly ns: Summary;
}

export interface NeighbourRow {
  readonly n: number;
  readonly threads: number;
  readonly neighbours: number;
  /** Means, since a stall is rare and long. */
  readonly oneThreadNs: number;
  readonly threadsNs: number;
  readonly ratio: number;
}

export interface EventLoop {
  readonly n: number;
  readonly steps: number;
  readonly msPerStep: number;
  /** How late a timer of 1 ms came while steps ran, and in a process at rest. */
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly idleDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface Results {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly seconds: number;
  readonly peers: readonly { readonly id: string; readonly label: string; readonly version: string | Skipped }[];
  readonly fixedCost: readonly FixedCostRow[];
  readonly manyTensors: readonly PairRow[];
  readonly nativeAgainstJs: Measured<{ readonly rows: readonly PairRow[] }>;
  readonly fused: readonly PairRow[];
  readonly classes: { readonly rows: readonly ClassRow[]; readonly leftOut: readonly string[] };
  readonly against: readonly PeerRow[];
  readonly neighbour: Measured<{ readonly rows: readonly NeighbourRow[] }>;
  readonly eventLoop: Measured<EventLoop>;
  readonly sparse: Measured<{ readonly rows: readonly PairRow[] }>;
  readonly modelFit: Measured<{ readonly rows: readonly PairRow[] }>;
}
