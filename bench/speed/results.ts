import type { CoreUse } from './core.js';
import type { Machine } from './machine.js';
import type { Model, SparseMethod } from './recommender/model.js';
import type { Settings } from './settings.js';
import { ratioOf, type Summary, scaled } from './statistics.js';
import type { Method } from './task.js';

// The contents of bench.json, from which tables, goals and plots are made. Times are in nanoseconds.

/** Stands in a result's place if there is none, with the reason. */
export interface Skipped {
  readonly skipped: string;
}
export type Measured<T> = T | Skipped;

export function isSkipped<T extends object>(value: Measured<T>): value is Skipped {
  return 'skipped' in value;
}

/** A class with certain options, at one size and number of threads. */
export interface ClassRow {
  readonly optimizer: string;
  readonly n: number;
  readonly threads: number;
  readonly bytesPerParam: number;
  readonly nsPerParam: Summary;
  readonly gbPerSecond: number;
  /** Time of the limit loop with as many threads; null if there is no such loop. */
  readonly limitNsPerParam: Summary | null;
  /** Our time divided by that of the limit, round by round. */
  readonly ofLimit: Summary | null;
  /** The time of one thread divided by this time, round by round. */
  readonly speedup: Summary;
}

/** A peer, schuss or the limit loop on one task. */
export interface PeerRow {
  readonly method: Method;
  readonly n: number;
  readonly tensors: number;
  readonly threads: number;
  readonly peer: string;
  readonly label: string;
  readonly measured: Measured<{
    readonly nsPerParam: Summary;
    /** Its time divided by ours, round by round. */
    readonly ofOurs: Summary;
  }>;
}

/** Two ways to do the same work. */
export interface PairRow {
  readonly what: string;
  readonly n: number;
  /** Time of a whole step, the first way. */
  readonly ns: Summary;
  readonly otherNs: Summary;
  /** The other time divided by the first, round by round. */
  readonly ratio: Summary;
}

/** A row from the seconds of both ways. */
export function pair(what: string, n: number, ours: readonly number[], others: readonly number[]): PairRow {
  return { what, n, ns: scaled(ours, 1e9), otherNs: scaled(others, 1e9), ratio: ratioOf(others, ours) };
}

/** A step on some rows of a table. */
export interface SparseRow {
  readonly label: string;
  /** Whether the state has one number a row. */
  readonly isPerRow: boolean;
  /** Numbers of a row. */
  readonly width: number;
  /** Rows of the table, and how many names a gradient has. */
  readonly total: number;
  readonly touched: number;
  readonly names: 'uniform' | 'zipf' | 'ascending';
  /** Time of a whole step. */
  readonly ns: Summary;
  /** Our time divided by that of the limit loop for rows, round by round. */
  readonly ofLimit: Summary;
  /** The time with a table of `new Float32Array` divided by that of an aligned table; null where it is not measured. */
  readonly ofAligned: Summary | null;
}

/** What a sparse step of Adam on one row costs. */
export interface SparseCost {
  readonly oneNs: Summary;
  /** For each further table. */
  readonly moreNs: Summary;
  /** The call of `stepAsync` with 256 rows. */
  readonly asyncCallNs: Summary;
}

/** A library that trains a recommender with batches of one size. */
export interface RecommenderRow {
  readonly model: Model;
  readonly method: SparseMethod;
  readonly batch: number;
  readonly peer: string;
  readonly label: string;
  readonly measured: Measured<{
    readonly nsPerEvent: Summary;
    /** Its time divided by ours, round by round. */
    readonly ofOurs: Summary;
  }>;
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
  /** Means, because stalls are rare and long. */
  readonly oneThreadNs: number;
  readonly threadsNs: number;
  readonly ratio: number;
}

export interface EventLoop {
  readonly n: number;
  readonly steps: number;
  readonly msPerStep: number;
  /** Delay of a 1 ms timer while steps ran, and in an idle process. */
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly idleDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface Results {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly seconds: number;
  /** Runs recorded before this was measured have none, nor runs without a comparison. */
  readonly core?: CoreUse | undefined;
  readonly peers: readonly { readonly id: string; readonly label: string; readonly version: string | Skipped }[];
  readonly fixedCost: readonly FixedCostRow[];
  readonly manyTensors: readonly PairRow[];
  readonly nativeAgainstJs: Measured<{ readonly rows: readonly PairRow[] }>;
  readonly fused: readonly PairRow[];
  readonly classes: { readonly rows: readonly ClassRow[]; readonly leftOut: readonly string[] };
  /** One thread first, then all. */
  readonly matrices: readonly PairRow[];
  readonly against: readonly PeerRow[];
  readonly neighbour: Measured<{ readonly rows: readonly NeighbourRow[] }>;
  readonly eventLoop: Measured<EventLoop>;
  readonly sparse: Measured<{ readonly rows: readonly PairRow[] }>;
  /** Runs recorded before these were measured have none. */
  readonly sparseRows?: Measured<{ readonly rows: readonly SparseRow[] }>;
  readonly sparseCost?: Measured<SparseCost>;
  readonly recommender?: Measured<{ readonly rows: readonly RecommenderRow[] }>;
  readonly modelFit: Measured<{ readonly rows: readonly PairRow[] }>;
}
