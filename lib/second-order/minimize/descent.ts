import { checkNumber } from '../../check/options.js';
import { type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { maxFailures } from '../hessian-free/solver.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import type { Problem } from './evaluator.js';
import type { MinimizeReason, MinimizeResult, RunTools } from './method.js';

/** When a run of 'lbfgs' or 'hessian-free' has converged. */
export interface MinimizeTolerances {
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
}

export const toleranceNames = ['gradTol', 'funTol', 'stepTol'] as const;

/** A method that evaluates the whole function, and never goes uphill. */
export interface Descent {
  readonly solver: {
    readonly x: Vector;
    readonly value: number;
    readonly grad: Vector;
    /** max |Δxᵢ| of the last iteration that moved. */
    readonly lastMove: number;
    start(evaluate: Evaluate): Task<void>;
    keepBest(): boolean;
  };
  /** Runs one iteration. 'stayed': at the same point, from which another iteration may move. */
  iterate(evaluate: Evaluate): Task<'moved' | 'stayed' | 'function' | 'line-search' | 'non-finite'>;
  /** What the progress of the method has beside that of every method. */
  info?(): object;
  /** Default of the option. */
  readonly maxIterations: number;
}

/** One run of a {@link Descent}. A class, because a generator inside a function costs microseconds to create. */
export class DescentRun {
  readonly #problem: Problem;
  readonly #tools: RunTools;
  readonly #descent: Descent;
  readonly #tolerances: { readonly [K in (typeof toleranceNames)[number]]: number };
  #iterations = 0;

  /** The solver's x receives the starting point. @throws TypeError, RangeError for a tolerance */
  constructor(problem: Problem, tools: RunTools, options: MinimizeTolerances, descent: Descent) {
    const { who, x0 } = problem;
    const { gradTol = 1e-8, funTol = 1e-15, stepTol = 0 } = options;
    this.#tolerances = {
      gradTol: checkNumber(who, 'gradTol', gradTol, '[0, inf)'),
      funTol: checkNumber(who, 'funTol', funTol, '[0, inf)'),
      stepTol: checkNumber(who, 'stepTol', stepTol, '[0, inf)'),
    };
    this.#problem = problem;
    this.#tools = tools;
    this.#descent = descent;
    descent.solver.x.set(x0);
  }

  *run(): Task<MinimizeResult> {
    let reason: MinimizeReason;
    try {
      reason = yield* this.#iterate();
    } catch (error) {
      if (!(error instanceof Interruption)) throw error;
      if (this.#descent.solver.keepBest()) this.#iterations++;
      reason = error.reason;
    }
    const { x, value, grad } = this.#descent.solver;
    const { evaluations, nonFinite } = this.#tools.budget;
    return {
      x: x.slice(),
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
    const { solver } = this.#descent;
    const { maxIterations = this.#descent.maxIterations } = this.#tools;
    const evaluate: Evaluate = (x, grad) => this.#evaluate(x, grad);
    yield* solver.start(evaluate);
    if (!isFinitePoint(solver.value, solver.grad)) return 'non-finite';
    if (maxAbs(solver.grad) <= this.#tolerances.gradTol) return 'gradient';
    let failures = 0;
    for (;;) {
      const before = solver.value;
      const outcome = yield* this.#descent.iterate(evaluate);
      if (outcome !== 'moved' && outcome !== 'stayed') return outcome;
      this.#iterations++;
      failures = outcome === 'stayed' ? failures + 1 : 0;
      if (this.#tools.isReported && (yield* this.#report())) return 'aborted';
      const reason = outcome === 'moved' ? this.#toleranceMet(before) : undefined;
      if (reason !== undefined) return reason;
      if (failures >= maxFailures) return 'line-search';
      if (this.#iterations >= maxIterations) return 'iterations';
    }
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
    const { x: best, value: lowest } = this.#descent.solver;
    // A trial point that is lower than the current point will most likely become the next one.
    if (this.#tools.reportsPasses)
      yield* this.#tools.reportPass((value < lowest || Number.isNaN(lowest) ? x : best).slice());
    return value;
  }

  #count(value: number, grad: Vector): void {
    if (!isFinitePoint(value, grad)) this.#tools.budget.nonFinite++;
  }

  #report(): Task<boolean> {
    const { x, value, grad } = this.#descent.solver;
    const { evaluations } = this.#tools.budget;
    const progress = { iteration: this.#iterations, x: x.slice(), value, gradNorm: norm(grad), evaluations };
    return this.#tools.report({ ...progress, ...this.#descent.info?.() });
  }

  /** The tolerance that is met after a move, if there is one. `before` is the value before it. */
  #toleranceMet(before: number): MinimizeReason | undefined {
    const { x, value, grad, lastMove } = this.#descent.solver;
    const { gradTol, funTol, stepTol } = this.#tolerances;
    if (maxAbs(grad) <= gradTol) return 'gradient';
    if (funTol > 0 && before - value <= funTol * Math.max(Math.abs(before), Math.abs(value))) return 'function';
    if (stepTol > 0 && lastMove <= stepTol * Math.max(1, maxAbs(x))) return 'step';
    return undefined;
  }
}
