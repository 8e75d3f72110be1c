import { checkFunction } from '../../check/options.js';
import { checkSignal } from '../../core/step-queue.js';
import { checkLimit } from '../evaluation.js';
import type { Vector, VectorConstructor } from '../linalg.js';
import type { Objective, Terms } from './objective.js';

const who = 'minimize';

/** State of a `minimize` run after an iteration. */
export interface MinimizeProgress<T extends Vector = Vector> {
  /** 1, 2, … */
  readonly iteration: number;
  /** A copy of the current point. */
  readonly x: T;
  /** The value at x. With 'sfo' or a first-order method: the value of the one term, before its step. */
  readonly value: number;
  /** The L2 norm of the gradient at x. With 'sfo' or a first-order method: of the one term, before its step. */
  readonly gradNorm: number;
  /** Number of evaluations so far. */
  readonly evaluations: number;
}

/** Options of every method of `minimize`. */
export interface CommonOptions<T extends Vector = Vector> {
  /**
   * Largest number of iterations. An integer in [1, inf]. Default 10000 with 'lbfgs', 1000 with a first-order method
   * and one function, else Infinity.
   */
  readonly maxIterations?: number | undefined;
  /** Largest number of evaluations of the function or of terms. An integer in [1, inf], default Infinity. */
  readonly maxEvaluations?: number | undefined;
  /**
   * Called after each iteration. Return true to end the run, with reason 'aborted'. An exception passes through.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a callback that returns nothing is the usual one
  readonly callback?: ((progress: MinimizeProgress<T>) => boolean | void) | undefined;
  /**
   * Abort it to end the run before its next evaluation. That must happen inside fn, callback or onPass, or on another
   * thread, because no timer fires while `minimize` runs.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * With terms: largest number of evaluations, in units of N. An integer in [1, inf]. Default Infinity with 'lbfgs', 10
   * with the other methods.
   */
  readonly passes?: number | undefined;
  /** With terms: called after every N evaluations of terms, with a copy of the point. */
  readonly onPass?: ((x: T) => void) | undefined;
}

/** Why a run ended. */
export type MinimizeReason =
  | 'gradient'
  | 'function'
  | 'step'
  | 'iterations'
  | 'evaluations'
  | 'line-search'
  | 'aborted'
  | 'non-finite';

/** Result of `minimize`. */
export interface MinimizeResult<T extends Vector = Vector> {
  /** The lowest point found; with 'sfo' or a first-order method, the last point. A new array of the type of x0. */
  readonly x: T;
  /** The value at x. NaN if the signal was aborted before it could be evaluated. */
  readonly value: number;
  /** The L2 norm of the gradient at x. NaN likewise. */
  readonly gradNorm: number;
  /** Number of iterations, each of which moved the point. With 'sfo' or a first-order method: the number of steps. */
  readonly iterations: number;
  /** Number of calls of fn, or of fn.f. */
  readonly evaluations: number;
  /**
   * Number of evaluations that were not finite: of the function, of the whole sum, or of the one term that a step
   * evaluates.
   */
  readonly nonFinite: number;
  /** Whether the run ended because a tolerance was met. */
  readonly converged: boolean;
  /** Why the run ended: see {@link minimize}. */
  readonly reason: MinimizeReason;
}

/** The problem that a method minimises. */
export interface Problem {
  readonly fn: Objective | Terms;
  /** Number of terms; undefined for a function. */
  readonly N: number | undefined;
  /** The user's array, only for reading. */
  readonly x0: Vector;
  /** The constructor of x0's type. */
  readonly VectorType: VectorConstructor;
}

/** A method of `minimize`: checks its own options, then runs. */
export type Method = (problem: Problem, options: Readonly<Record<string, unknown>>) => MinimizeResult;

export const commonOptionNames = ['method', 'maxIterations', 'maxEvaluations', 'callback', 'signal'] as const;
export const termsOptionNames = ['passes', 'onPass'] as const;

/**
 * Checks the common options. `maxEvaluations` of the result includes the limit by `passes`.
 * @throws TypeError, RangeError
 */
export function checkCommon(options: CommonOptions, N: number | undefined, defaultPasses = Number.POSITIVE_INFINITY) {
  const { maxIterations, maxEvaluations, callback, signal, passes, onPass } = options;
  if (callback !== undefined) checkFunction(who, 'callback', callback);
  if (onPass !== undefined) checkFunction(who, 'onPass', onPass);
  const maxPasses = passes === undefined ? defaultPasses : checkLimit(who, 'passes', passes);
  return {
    maxIterations: maxIterations === undefined ? undefined : checkLimit(who, 'maxIterations', maxIterations),
    maxEvaluations: Math.min(
      maxEvaluations === undefined ? Number.POSITIVE_INFINITY : checkLimit(who, 'maxEvaluations', maxEvaluations),
      N === undefined ? Number.POSITIVE_INFINITY : maxPasses * N,
    ),
    callback,
    signal: signal === undefined ? undefined : checkSignal(who, signal),
    onPass,
  };
}
