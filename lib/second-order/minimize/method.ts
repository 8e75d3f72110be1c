import { checkFunction } from '../../check/options.js';
import { checkSignal } from '../../core/step-queue.js';
import type { Vector, VectorConstructor } from '../linalg.js';
import { checkLimit } from './budget.js';
import type { Objective, Terms } from './objective.js';

const who = 'minimize';

/** Where a run of `minimize` is after an iteration. */
export interface MinimizeProgress<T extends Vector = Vector> {
  /** 1, 2, … */
  readonly iteration: number;
  /** A copy of the point. */
  readonly x: T;
  /** The value there. With a first-order method or 'sfo' that of the one term, before its step. */
  readonly value: number;
  /** The L2 norm of the gradient there; of the one term, likewise. */
  readonly gradNorm: number;
  readonly evaluations: number;
}

/** Options that all methods of `minimize` have. */
export interface CommonOptions<T extends Vector = Vector> {
  /** The most iterations. An integer in [1, inf]; default 10000 with 'lbfgs', 1000 with a first-order method and one function. */
  readonly maxIterations?: number | undefined;
  /** The most evaluations, of the function or of terms. An integer in [1, inf], default Infinity. */
  readonly maxEvaluations?: number | undefined;
  /** Called after each iteration; ends the run, with reason 'aborted', if it returns true. What it throws passes through. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a callback that returns nothing is the usual one
  readonly callback?: ((progress: MinimizeProgress<T>) => boolean | void) | undefined;
  /**
   * Ends the run before its next evaluation. What aborts it must run inside fn, callback or onPass, or on another thread:
   * while `minimize` runs, no timer does.
   */
  readonly signal?: AbortSignal | undefined;
  /** With terms: the most evaluations, in units of N. An integer in [1, inf]; default Infinity with 'lbfgs', 10 with others. */
  readonly passes?: number | undefined;
  /** With terms: called with a copy of the point after every N evaluations of terms. */
  readonly onPass?: ((x: T) => void) | undefined;
}

/** Why a run has ended. */
export type MinimizeReason =
  | 'gradient'
  | 'function'
  | 'step'
  | 'iterations'
  | 'evaluations'
  | 'line-search'
  | 'aborted'
  | 'non-finite';

/** What `minimize` returns. */
export interface MinimizeResult<T extends Vector = Vector> {
  /** The lowest point found; with a first-order method or 'sfo' the last. A new array of the type of x0. */
  readonly x: T;
  readonly value: number;
  /** The L2 norm of the gradient at x. */
  readonly gradNorm: number;
  readonly iterations: number;
  /** How often fn, or fn.f, was called. */
  readonly evaluations: number;
  /** Of the evaluations of the function (of the sum, or of a term that a step was to take), those that were not finite. */
  readonly nonFinite: number;
  /** Whether a tolerance has ended the run. */
  readonly converged: boolean;
  readonly reason: MinimizeReason;
}

/** What a method is to minimise. */
export interface Problem {
  readonly fn: Objective | Terms;
  /** The number of terms; undefined for a function. */
  readonly N: number | undefined;
  /** Not to be changed. */
  readonly x0: Vector;
  /** Makes arrays of the type of x0. */
  readonly make: VectorConstructor;
}

/** One method of `minimize`: checks its own options, and runs. */
export type Method = (problem: Problem, options: Readonly<Record<string, unknown>>) => MinimizeResult;

export const commonOptionNames = ['method', 'maxIterations', 'maxEvaluations', 'callback', 'signal'] as const;
export const termsOptionNames = ['passes', 'onPass'] as const;

/** The common options, checked; `passes` has become a part of `maxEvaluations`. @throws TypeError, RangeError */
export function checkCommon(options: CommonOptions, N: number | undefined, defaultPasses = Number.POSITIVE_INFINITY) {
  const { maxIterations, maxEvaluations, callback, signal, passes, onPass } = options;
  if (callback !== undefined) checkFunction(who, 'callback', callback);
  if (onPass !== undefined) checkFunction(who, 'onPass', onPass);
  const allPasses = passes === undefined ? defaultPasses : checkLimit(who, 'passes', passes);
  return {
    maxIterations: maxIterations === undefined ? undefined : checkLimit(who, 'maxIterations', maxIterations),
    maxEvaluations: Math.min(
      maxEvaluations === undefined ? Number.POSITIVE_INFINITY : checkLimit(who, 'maxEvaluations', maxEvaluations),
      N === undefined ? Number.POSITIVE_INFINITY : allPasses * N,
    ),
    callback,
    signal: signal === undefined ? undefined : checkSignal(who, signal),
    onPass,
  };
}
