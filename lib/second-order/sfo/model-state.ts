import type { Term } from './term.js';

/** The numbers of a model. */
export const counterNames = [
  'random',
  'stepScale',
  'pathLength',
  'evaluations',
  'predictedDecrease',
  'stepsSinceGrowth',
  'nextInCycle',
] as const;

/** Everything that a resumed run needs, apart from the settings. */
export interface ModelState {
  readonly theta: Float64Array;
  readonly lastGood: Float64Array;
  readonly z: Float64Array;
  readonly origin: Float64Array;
  /** The columns of the subspace in use; empty if it is the whole space. */
  readonly basis: readonly Float64Array[];
  readonly lowRank: Float64Array;
  /** The active terms, in the order of their indices. */
  readonly terms: readonly Term[];
  readonly counters: Readonly<Record<(typeof counterNames)[number], number>>;
}
