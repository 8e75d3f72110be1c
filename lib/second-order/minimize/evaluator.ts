import { show, typeError } from '../../check/errors.js';
import type { Budget } from '../evaluation.js';
import { axpy, type Vector, type VectorConstructor } from '../linalg.js';
import { isThenable, type MaybeTask, type Task } from '../task.js';
import { GradientCheck } from '../unwritten.js';
import { Views } from '../views.js';
import type { Waits } from '../waits.js';
import type { Objective, Terms } from './objective.js';

/** A function, or a sum of terms, and the type of its vectors. */
export interface Problem {
  /** The function as errors name it: `minimize` or another. */
  readonly who: string;
  readonly fn: Objective | Terms;
  /** Number of terms; undefined for a function. */
  readonly N: number | undefined;
  /** A copy of the starting point. */
  readonly x0: Vector;
  /** The constructor of x0's type. */
  readonly VectorType: VectorConstructor;
  /** The waits of a run that may wait. */
  readonly waits?: Waits | undefined;
}

/** Calls the user's function. */
export class Evaluator {
  readonly #problem: Problem;
  readonly #budget: Budget;
  readonly #views: Views;
  readonly #check: GradientCheck;
  /** Scratch of {@link all} for terms: the gradient of one, and the sum of all. */
  #scratch: { readonly grad: Vector; readonly sum: Float64Array } | undefined;

  constructor(problem: Problem, budget: Budget) {
    this.#problem = problem;
    this.#budget = budget;
    this.#views = new Views(problem.VectorType, problem.x0.length);
    this.#check = new GradientCheck(problem.N ?? 1);
  }

  /** Evaluates the function, or term i. @throws what it throws; TypeError, RangeError for an invalid result */
  one(i: number, x: Vector, grad: Vector): MaybeTask<number> {
    this.#budget.spend();
    if (this.#check.isPending)
      return this.#check.evaluate(
        [grad],
        () => this.#call(i, x, grad),
        (_, index) => this.#unwritten(i, index),
      );
    grad.fill(0);
    return this.#call(i, x, grad);
  }

  /** Evaluates the function, or the sum of all terms (N evaluations). */
  all(x: Vector, grad: Vector): MaybeTask<number> {
    const { N } = this.#problem;
    return N === undefined ? this.one(0, x, grad) : this.#sum(N, x, grad);
  }

  *#sum(N: number, x: Vector, grad: Vector): Task<number> {
    const { VectorType } = this.#problem;
    // The sum is float64. In float32, a sum of many terms would lose the digits that the last steps need.
    this.#scratch ??= { grad: new VectorType(x.length), sum: new Float64Array(x.length) };
    const { grad: term, sum } = this.#scratch;
    let total = 0;
    sum.fill(0);
    for (let i = 0; i < N; i++) {
      const value = this.one(i, x, term);
      total += typeof value === 'number' ? value : yield* value;
      axpy(1, term, sum);
    }
    grad.set(sum);
    return total;
  }

  #call(i: number, x: Vector, grad: Vector): MaybeTask<number> {
    const { fn, waits } = this.#problem;
    const [xView, gradView] = [this.#views.of(x, 'x'), this.#views.of(grad, 'grad')];
    const value: unknown = typeof fn === 'function' ? fn(xView, gradView) : fn.f(i, xView, gradView);
    const mustWait = waits !== undefined && (waits.isDue || isThenable(value));
    return mustWait ? this.#awaited(i, value) : this.#checked(i, value);
  }

  *#awaited(i: number, value: unknown): Task<number> {
    return this.#checked(i, yield value);
  }

  /** Checks a value, and that no vector was detached or resized, now or since an earlier call. */
  #checked(i: number, value: unknown): number {
    const { who } = this.#problem;
    if (typeof value !== 'number') {
      const hint = isThenable(value) ? 'it must not be async, except in minimizeAsync' : undefined;
      throw typeError(who, this.#path(i), show(value), 'the value, a number', hint);
    }
    this.#views.check(who, this.#path(i));
    return value;
  }

  #path(i: number): string {
    return this.#problem.N === undefined ? 'fn' : `fn.f(${i})`;
  }

  #unwritten(i: number, index: number): TypeError {
    return typeError(
      this.#problem.who,
      `grad[${index}] of ${this.#path(i)}`,
      'not written',
      'the derivative at x',
      'fn must write every element of grad',
    );
  }
}
