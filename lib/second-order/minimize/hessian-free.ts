import { checkFunction, checkNumber, checkOptions } from '../../check/options.js';
import { type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { checkSettings, type HessianFreeHyperParameters, hyperParameterNames } from '../hessian-free/settings.js';
import { HessianFreeSolver, maxFailures } from '../hessian-free/solver.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import { type CurvatureFunctions, UserCurvature } from './curvature.js';
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

/** State of a `minimize` run with method 'hessian-free' after an iteration. */
export interface HessianFreeProgress<T extends Vector = Vector> extends MinimizeProgress<T> {
  /** The damping λ of this iteration. */
  readonly damping: number;
  /** Number of iterations of conjugate gradients, each with one product. */
  readonly cgIterations: number;
  /**
   * The change of the function over the change that its quadratic model predicted, for the whole step. −Infinity if the
   * function rose.
   */
  readonly rho: number;
}

/** Options of `minimize` with method 'hessian-free'. */
export interface HessianFreeMethodOptions<T extends Vector = Vector, A = Answer, P = void>
  extends Omit<CommonOptions<T, A, P>, 'callback'>,
    HessianFreeHyperParameters {
  readonly method: 'hessian-free';
  /**
   * Writes G·v at `x` to `out`, every element of it, where G is the Gauss-Newton matrix, or another one without negative
   * eigenvalues. Must not change `x` and `v`. See {@link gaussNewtonProduct}. Required.
   */
  readonly gaussNewton: (x: T, v: T, out: T) => P;
  /**
   * Writes the sum over the examples of their squared gradients at `x` to `out`, element by element. With it, conjugate
   * gradients are preconditioned by (squares + λ)^¾. Default: no preconditioner.
   */
  readonly squaredGradients?: ((x: T, out: T) => P) | undefined;
  /** Called after each iteration. Return true to end the run, with reason 'aborted'. An exception passes through. */
  readonly callback?: ((progress: HessianFreeProgress<T>) => A) | undefined;
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

const optionNames = [
  'gaussNewton',
  'squaredGradients',
  ...hyperParameterNames,
  'gradTol',
  'funTol',
  'stepTol',
] as const;

/** Runs Hessian-free optimization on a function, or on the sum of the terms. */
export const minimizeHessianFree: Method = (problem, options) => new HessianFreeRun(problem, options).run();

/** One run of the method 'hessian-free'. */
class HessianFreeRun {
  readonly #problem: Problem;
  readonly #tools: RunTools;
  readonly #solver: HessianFreeSolver;
  readonly #curvature: UserCurvature;
  readonly #tolerances: { readonly gradTol: number; readonly funTol: number; readonly stepTol: number };
  #iterations = 0;

  constructor(problem: Problem, options: Readonly<Record<string, unknown>>) {
    const { who, N, x0, VectorType } = problem;
    checkOptions(who, options, [...commonOptionNames, ...optionNames, ...(N === undefined ? [] : termsOptionNames)]);
    this.#problem = problem;
    const { callback: _, ...others } = options as unknown as HessianFreeMethodOptions;
    const { gaussNewton, squaredGradients, gradTol = 1e-8, funTol = 1e-15, stepTol = 0 } = others;
    checkFunction(who, 'gaussNewton', gaussNewton, 'a function, (x, v, out) => void, which writes G·v to out');
    if (squaredGradients !== undefined) checkFunction(who, 'squaredGradients', squaredGradients);
    this.#tools = new RunTools(problem, options);
    this.#tolerances = {
      gradTol: checkNumber(who, 'gradTol', gradTol, '[0, inf)'),
      funTol: checkNumber(who, 'funTol', funTol, '[0, inf)'),
      stepTol: checkNumber(who, 'stepTol', stepTol, '[0, inf)'),
    };
    this.#solver = new HessianFreeSolver(x0.length, VectorType, checkSettings(who, others));
    this.#solver.x.set(x0);
    const functions = { gaussNewton, squaredGradients } as CurvatureFunctions;
    this.#curvature = new UserCurvature(problem, this.#tools.budget, functions);
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
    const solver = this.#solver;
    const { maxIterations = 1000 } = this.#tools;
    const evaluate: Evaluate = (x, grad) => this.#evaluate(x, grad);
    yield* solver.start(evaluate);
    if (!isFinitePoint(solver.value, solver.grad)) return 'non-finite';
    if (maxAbs(solver.grad) <= this.#tolerances.gradTol) return 'gradient';
    let failures = 0;
    for (;;) {
      const before = solver.value;
      const outcome = yield* solver.iterate(evaluate, this.#curvature);
      if (outcome === 'non-finite' || outcome === 'function') return outcome;
      this.#iterations++;
      failures = outcome === 'stayed' ? failures + 1 : 0;
      if (this.#tools.isReported && (yield* this.#tools.report(this.#progress()))) return 'aborted';
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
    const { x: best, value: lowest } = this.#solver;
    if (this.#tools.reportsPasses)
      yield* this.#tools.reportPass((value < lowest || Number.isNaN(lowest) ? x : best).slice());
    return value;
  }

  #count(value: number, grad: Vector): void {
    if (!isFinitePoint(value, grad)) this.#tools.budget.nonFinite++;
  }

  #progress(): HessianFreeProgress {
    const { x, value, grad, info } = this.#solver;
    const { evaluations } = this.#tools.budget;
    return { iteration: this.#iterations, x: x.slice(), value, gradNorm: norm(grad), evaluations, ...info };
  }

  /** The tolerance that is met after a move, if there is one. `before` is the value before it. */
  #toleranceMet(before: number): MinimizeReason | undefined {
    const { x, value, grad, lastMove } = this.#solver;
    const { gradTol, funTol, stepTol } = this.#tolerances;
    if (maxAbs(grad) <= gradTol) return 'gradient';
    if (funTol > 0 && before - value <= funTol * Math.max(Math.abs(before), Math.abs(value))) return 'function';
    if (stepTol > 0 && lastMove <= stepTol * Math.max(1, maxAbs(x))) return 'step';
    return undefined;
  }
}
