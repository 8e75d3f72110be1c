import { checkFunction, checkNumber } from '../../check/options.js';
import { checkSignal } from '../../core/step-queue.js';
import { Budget, checkLimit, Interruption } from '../evaluation.js';
import type { Vector } from '../linalg.js';
import { isThenable, type Task } from '../task.js';
import { Evaluator, type Problem } from './evaluator.js';

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

/** What a callback of `minimize` returns. */
// biome-ignore lint/suspicious/noConfusingVoidType: a callback that returns nothing is the usual one
export type Answer = boolean | void;

/** Options of every method of `minimize`. @typeParam A what the callback returns @typeParam P what `onPass` returns */
export interface CommonOptions<T extends Vector = Vector, A = Answer, P = void> {
  /**
   * Largest number of iterations. An integer in [1, inf]. Default 10000 with 'lbfgs', 1000 with 'hessian-free',
   * and with a first-order method and one function, else Infinity.
   */
  readonly maxIterations?: number | undefined;
  /** Largest number of evaluations of the function or of terms. An integer in [1, inf], default Infinity. */
  readonly maxEvaluations?: number | undefined;
  /**
   * Time limit in milliseconds. After it, the run ends before its next evaluation or product. (0, inf], default
   * Infinity. The first evaluation may take any time. With 'sfo' or a first-order method, the evaluation at the last
   * point may take as long again.
   */
  readonly maxTime?: number | undefined;
  /**
   * Called after each iteration. Return true to end the run, with reason 'aborted'. An exception passes through.
   */
  readonly callback?: ((progress: MinimizeProgress<T>) => A) | undefined;
  /**
   * Abort it to end the run before its next evaluation or product. `minimizeAsync` then rejects with its reason. While
   * `minimize` runs, no timer fires: abort it inside fn, callback or onPass.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * With terms: largest number of evaluations, in units of N. An integer in [1, inf]. Default Infinity with 'lbfgs'
   * and 'hessian-free', 10 with the other methods.
   */
  readonly passes?: number | undefined;
  /** With terms: called after every N evaluations of terms, with a copy of the point. */
  readonly onPass?: ((x: T) => P) | undefined;
}

/** Why a run ended. */
export type MinimizeReason =
  | 'gradient'
  | 'function'
  | 'step'
  | 'iterations'
  | 'evaluations'
  | 'time'
  | 'line-search'
  | 'aborted'
  | 'non-finite';

/** Result of `minimize`. */
export interface MinimizeResult<T extends Vector = Vector> {
  /** The lowest point found; with 'sfo' or a first-order method, the last point. A new array of the type of x0. */
  readonly x: T;
  /** The value at x. NaN if the run was aborted, or the time was over, before it could be evaluated. */
  readonly value: number;
  /** The L2 norm of the gradient at x. NaN in the same cases. */
  readonly gradNorm: number;
  /**
   * Number of iterations, each of which moved the point. With 'sfo' or a first-order method: the number of steps. With
   * 'hessian-free', an iteration that found no lower point counts too.
   */
  readonly iterations: number;
  /**
   * Number of evaluations of fn, or of fn.f. A function that adds to its gradient is called one extra time at the
   * start.
   */
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

/** A method of `minimize`: checks its own options, then runs. */
export type Method = (problem: Problem, options: Readonly<Record<string, unknown>>) => Task<MinimizeResult>;

export const commonOptionNames = [
  'method',
  'maxIterations',
  'maxEvaluations',
  'maxTime',
  'callback',
  'signal',
] as const;
export const termsOptionNames = ['passes', 'onPass'] as const;

/** The common options, checked, and the tools of a run that they define. */
export class RunTools {
  /** Undefined for the default of the method. */
  readonly maxIterations: number | undefined;
  /** Its limit on evaluations includes the one by `passes`. */
  readonly budget: Budget;
  readonly evaluator: Evaluator;
  readonly #mayWait: boolean;
  readonly #callback: CommonOptions['callback'];
  readonly #onPass: CommonOptions['onPass'];

  /** @throws TypeError, RangeError */
  constructor(problem: Problem, options: CommonOptions, defaultPasses = Number.POSITIVE_INFINITY) {
    const { who, N, waits } = problem;
    const unlimited = Number.POSITIVE_INFINITY;
    const { maxIterations, maxEvaluations = unlimited, maxTime, callback, signal, passes, onPass } = options;
    if (callback !== undefined) checkFunction(who, 'callback', callback);
    if (onPass !== undefined) checkFunction(who, 'onPass', onPass);
    if (maxTime !== undefined) checkNumber(who, 'maxTime', maxTime, '(0, inf]');
    if (signal !== undefined) checkSignal(who, signal);
    const maxPasses = passes === undefined ? defaultPasses : checkLimit(who, 'passes', passes);
    this.maxIterations = maxIterations === undefined ? undefined : checkLimit(who, 'maxIterations', maxIterations);
    this.budget = new Budget({
      maxEvaluations: Math.min(
        checkLimit(who, 'maxEvaluations', maxEvaluations),
        N === undefined ? unlimited : maxPasses * N,
      ),
      maxTime,
      signal,
      throwsReason: waits !== undefined,
    });
    waits?.watch(signal, this.budget);
    this.evaluator = new Evaluator(problem, this.budget);
    this.#mayWait = waits !== undefined;
    this.#callback = callback;
    this.#onPass = onPass;
  }

  /** Whether there is a callback. */
  get isReported(): boolean {
    return this.#callback !== undefined;
  }

  /** Whether there is an `onPass`. */
  get reportsPasses(): boolean {
    return this.#onPass !== undefined;
  }

  /** Calls the callback. Returns whether the run must end. */
  *report(progress: MinimizeProgress): Task<boolean> {
    return (yield* this.#answer(this.#callback?.(progress))) === true;
  }

  /** Calls `onPass`. */
  *reportPass(x: Vector): Task<void> {
    yield* this.#answer(this.#onPass?.(x));
  }

  /**
   * Evaluates all terms at the last point, for methods that have evaluated one term at a time, and never there.
   *
   * @returns the value, or NaN if the run is aborted, or if the evaluation would take longer than the run
   */
  *measure(x: Vector, grad: Vector): Task<number> {
    this.budget.restartClock();
    try {
      const value = this.evaluator.all(x, grad);
      return typeof value === 'number' ? value : yield* value;
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      grad.fill(Number.NaN);
      return Number.NaN;
    }
  }

  /** What a callback returned, or the value of its promise if the run may wait. */
  *#answer(answer: unknown): Task<unknown> {
    return this.#mayWait && isThenable(answer) ? yield answer : answer;
  }
}
