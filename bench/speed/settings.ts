import { availableParallelism } from 'node:os';
import { backend, optimizers } from '../common/schuss.js';
import type { Pace } from './alternate.js';
import { peers } from './peers/index.js';
import type { Sizes } from './recommender/batches.js';

/** The values of `--parts`, in the order in which they are measured. */
export const partNames = [
  'small',
  'passes',
  'classes',
  'matrices',
  'peers',
  'neighbour',
  'sparse',
  'recommender',
  'fit',
  'async',
] as const;
export type Part = (typeof partNames)[number];

export interface BenchOptions {
  readonly quick?: boolean;
  readonly parts?: readonly Part[];
  readonly sizes?: readonly number[];
  readonly classes?: readonly string[];
  readonly peers?: readonly string[];
  readonly threads?: readonly number[];
  readonly rounds?: number;
  readonly out: string;
  /** The command line, for the report. */
  readonly command: string;
}

/** The values of `--classes`. */
export const classNames: readonly string[] = Object.keys(optimizers);
/** The values of `--peers`. `none` leaves all peers out. */
export const peerNames: readonly string[] = [...peers.map(({ id }) => id), 'none'];

type Shape = readonly [rows: number, columns: number];

/** What is measured, and for how long. */
export interface Settings {
  readonly quick: boolean;
  readonly parts: readonly Part[];
  /** Numbers of elements, ascending. */
  readonly sizes: readonly number[];
  /** Larger or further sizes, for compiled peers only. */
  readonly compiledSizes: readonly number[];
  readonly classes: readonly string[];
  readonly peers: readonly string[];
  /** Numbers of threads in the tables of classes, ascending; always includes 1. */
  readonly threads: readonly number[];
  readonly pace: Pace;
  /** Sizes that the goals name; smaller in a quick run. */
  readonly special: {
    readonly eventLoop: number;
    readonly sparseRows: number;
    readonly touchedRows: number;
    readonly recommender: { readonly sizes: Sizes; readonly batches: readonly number[] };
    /** Shapes for the classes of matrices: for all of them, and for those that only multiply. */
    readonly matrices: { readonly square: readonly Shape[]; readonly wider: readonly Shape[] };
  };
}

const unique = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

export function settingsOf(options: Omit<BenchOptions, 'out' | 'command'>): Settings {
  const { quick = false } = options;
  // The JavaScript backend has one thread.
  const threads = backend().name === 'js' ? [] : (options.threads ?? [availableParallelism()]);
  return {
    quick,
    parts: options.parts ?? partNames,
    sizes: unique(options.sizes ?? (quick ? [1e3, 1e5, 1e6] : [1e3, 1e4, 1e5, 1e6, 1e7])),
    compiledSizes: quick || options.sizes !== undefined ? [] : [4e6, 2e7, 1e8],
    classes: options.classes ?? classNames,
    peers: options.peers?.filter((id) => id !== 'none') ?? peers.map(({ id }) => id),
    threads: unique([1, ...threads]),
    pace: quick
      ? { rounds: options.rounds ?? 5, seconds: 0.002, warmup: 0.02 }
      : { rounds: options.rounds ?? 15, seconds: 0.008, warmup: 0.06, smallWarmup: 0.3, triedSteps: 40 },
    special: quick
      ? {
          eventLoop: 1e6,
          sparseRows: 1e4,
          touchedRows: 100,
          recommender: { sizes: { users: 1e4, items: 1e3, width: 32, history: 8 }, batches: [16, 256] },
          matrices: { square: [[24, 24]], wider: [[24, 96]] },
        }
      : {
          eventLoop: 1e8,
          sparseRows: 1e6,
          touchedRows: 1e4,
          recommender: { sizes: { users: 1e5, items: 1e4, width: 32, history: 20 }, batches: [16, 256, 4096] },
          matrices: {
            square: [
              [256, 256],
              [768, 768],
            ],
            wider: [[768, 3072]],
          },
        },
  };
}
