import type { StepResult } from '../../core/stepper.js';
import { type Exchanged, endOf } from '../gradients/exchange.js';

/** The result where every weight was 0: no rank has examples left. Then nothing has changed. */
export interface Finished {
  readonly applied: false;
  readonly finished: true;
  readonly interrupted?: true;
}

/** The result of a step: the same on every rank. */
export interface DistributedResult extends StepResult {
  /** True if every weight was 0: no rank has examples left. Then nothing has changed. */
  readonly finished?: true;
  /** Of a skipped step: the ranks whose own gradients, estimates or loss are not finite. None, if only their sum is not. */
  readonly nonFiniteRanks?: readonly number[];
  /**
   * True once the launcher has told any rank to end, as `world.interrupted` does. Ranks see that signal at different steps;
   * this is the same on all, so all can save a checkpoint and return.
   */
  readonly interrupted?: true;
}

/** Begins a step, and returns what ends it. */
export type Begin<R> = (sums: Exchanged, gradScale: number) => Promise<() => Promise<R> | R>;

/** The result of a step with the sums of all ranks. */
export function resultOf(result: StepResult, sums: Exchanged): DistributedResult {
  return { ...result, ...(result.applied ? {} : { nonFiniteRanks: sums.nonFiniteRanks }), ...endOf(sums) };
}
