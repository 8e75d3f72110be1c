import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { LineSearchSolver } from '../lbfgs/solver.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import type { Problem } from './evaluator.js';
import {
  type Answer,
  type CommonOptions,
  commonOptionNames,
  type Method,
  type MinimizeProgress,
  type MinimizeReason,
  type MinimizeResult,
  RunTools,
  termsOptionNames,
} from './method.js';

/** Options of `minimize` with method 'lbfgs'. */
export interface LBFGSMethodOptions<T extends Vector = Vector, A = Answer, P = void> extends CommonOptions<T, A, P> {
  /** Default 'lbfgs'. */
  readonly method?: 'lbfgs' | undefined;
  /** The run ends when max |gᵢ| is at most this. [0, inf), default 1e-8. */
  readonly gradTol?: number | undefined;
  /**
   * The run ends after an iteration that lowers the value by at most this, relative to the value's magnitude. [0, inf),
   * default 1e-15; 0 turns it off.
   */
  readonly funTol?: number | undefined;
  /**
   * The run ends after an iteration with max |Δxᵢ| at most this times max(1, max |xᵢ|). [0, inf), default 0, which
   * turns it off.
   */
  readonly stepTol?: number | undefined;
  /** Number of curvature pairs kept. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
}

const optionNames = ['gradTol', 'funTol', 'stepTol', 'historySize'] as const;

/** Runs L-BFGS on a function, or on the sum of the terms. */
export const minimizeLbfgs: Method = (problem, options) => new LBFGSRun(problem, options).run();

/** One run of the method 'lbfgs'. A class, because a generator inside a function costs microseconds to create. */
class LBFGSRun {
  readonly #problem: Problem;
  readonly #tools: RunTools;
  readonly #solver: LineSearchSolver;
  readonly #tolerances: { readonly gradTol: number; readonly funTol: number; readonly stepTol: number };
  #iterations = 0;

  constructor(problem: Problem, options: Readonly<Record<string, unknown>>) {
    const { who, N, x0, VectorType } = problem;
    checkOptions(who, options, [...commonOptionNames, ...optionNames, ...(N === undefined ? [] : termsOptionNames)]);
    this.#problem = problem;
    this.#tools = new RunTools(problem, options);
    const { gradTol = 1e-8, funTol = 1e-15, stepTol = 0, historySize = 10 } = options as LBFGSMethodOptions;
    this.#tolerances = {
      gradTol: checkNumber(who, 'gradTol', gradTol, '[0, inf)'),
      funTol: checkNumber(who, 'funTol', funTol, '[0, inf)'),
      stepTol: checkNumber(who, 'stepTol', stepTol, '[0, inf)'),
    };
    checkInteger(who, 'historySize', historySize, '[1, inf)');
    this.#solver = new LineSearchSolver(x0.length, VectorType, historySize);
    this.#solver.x.set(x0);
  }

  *run(): Task<MinimizeResult> {
    let reason: MinimizeReason;
    try {
      reason = yield* this.#iterate();
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (this.#solver.keepBest()) this.#iterations++;
      reason = error.reason;
    }
    const { x, value, grad } = this.#solver;
    const { evaluations, nonFinite } = this.#tools.budget;
    return {
      x,
      value,
      gradNorm: Number.isNaN(value) ? Number.NaN : norm(grad),
      iterations: this.#iterations,
      evaluations,
      nonFinite,
      converged: reason === 'gradient' || reason === 'function' || reason === 'step',
      reason,
    };
  }

  *#iterate(): Task<MinimizeReason> {
    const solver = this.#solver;
    const { maxIterations = 10_000 } = this.#tools;
    const evaluate: Evaluate = (x, grad) => this.#evaluate(x, grad);
    yield* solver.start(evaluate);
    if (!isFinitePoint(solver.value, solver.grad)) return 'non-finite';
    let reason = this.#reasonToEnd(solver.value);
    while (reason === undefined) {
      const before = solver.value;
      const outcome = yield* solver.iterate(evaluate, 'strong-wolfe', 1);
      if (outcome !== 'moved') return outcome;
      this.#iterations++;
      if (this.#tools.isReported && (yield* this.#tools.report(this.#progress()))) return 'aborted';
      reason = this.#reasonToEnd(before) ?? (this.#iterations >= maxIterations ? 'iterations' : undefined);
    }
    return reason;
  }

  #evaluate(x: Vector, grad: Vector): MaybeTask<number> {
    this.#tools.budget.reserve(this.#problem.N);
    const value = this.#tools.evaluator.all(x, grad);
    if (typeof value !== 'number') return this.#evaluateSum(x, grad, value);
    this.#count(value, grad);
    return value;
  }

  *#evaluateSum(x: Vector, grad: Vector, sum: Task<number>): Task<number> {
    const value = yield* sum;
    this.#count(value, grad);
    const { x: best, value: lowest } = this.#solver;
    // A trial point that is lower than the current point will most likely become the next one.
    if (this.#tools.reportsPasses)
      yield* this.#tools.reportPass((value < lowest || Number.isNaN(lowest) ? x : best).slice());
    return value;
  }

  #count(value: number, grad: Vector): void {
    if (!isFinitePoint(value, grad)) this.#tools.budget.nonFinite++;
  }

  #progress(): MinimizeProgress {
    const { x, value, grad } = this.#solver;
    const { evaluations } = this.#tools.budget;
    return { iteration: this.#iterations, x: x.slice(), value, gradNorm: norm(grad), evaluations };
  }

  /** The tolerance that is met at the current point, if there is one. `before` is the value before the iteration. */
  #reasonToEnd(before: number): MinimizeReason | undefined {
    const { x, value, grad, lastMove } = this.#solver;
    const { gradTol, funTol, stepTol } = this.#tolerances;
    if (maxAbs(grad) <= gradTol) return 'gradient';
    if (this.#iterations === 0) return undefined;
    if (funTol > 0 && before - value <= funTol * Math.max(Math.abs(before), Math.abs(value))) return 'function';
    if (stepTol > 0 && lastMove <= stepTol * Math.max(1, maxAbs(x))) return 'step';
    return undefined;
  }
}
