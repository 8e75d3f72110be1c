import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { Budget, type Evaluate, Interruption, isFinitePoint } from '../evaluation.js';
import { LineSearchSolver } from '../lbfgs/solver.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  type MinimizeResult,
  termsOptionNames,
} from './method.js';
import { evaluateAll } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with method 'lbfgs'. */
export interface LBFGSMethodOptions<T extends Vector = Vector> extends CommonOptions<T> {
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
export const minimizeLbfgs: Method = ({ fn, x0, VectorType, N }, options) => {
  checkOptions(who, options, [...commonOptionNames, ...optionNames, ...(N === undefined ? [] : termsOptionNames)]);
  const { maxIterations = 10_000, maxEvaluations, callback, signal, onPass } = checkCommon(options, N);
  const { gradTol = 1e-8, funTol = 1e-15, stepTol = 0, historySize = 10 } = options as LBFGSMethodOptions;
  checkNumber(who, 'gradTol', gradTol, '[0, inf)');
  checkNumber(who, 'funTol', funTol, '[0, inf)');
  checkNumber(who, 'stepTol', stepTol, '[0, inf)');
  checkInteger(who, 'historySize', historySize, '[1, inf)');

  const budget = new Budget(maxEvaluations, signal);
  const solver = new LineSearchSolver(x0.length, VectorType, historySize);
  const all = evaluateAll(fn, x0.length, VectorType);
  const evaluate: Evaluate = (x, grad) => {
    budget.spend(N);
    const value = all(x, grad);
    if (!isFinitePoint(value, grad)) budget.nonFinite++;
    // A trial point that is lower than the current point will most likely become the next one.
    onPass?.((value < solver.value || Number.isNaN(solver.value) ? x : solver.x).slice());
    return value;
  };
  let iterations = 0;

  /** The reason to end the run at the current point, if there is one. `before` is the value before the iteration. */
  const reasonToEnd = (before: number): MinimizeReason | undefined => {
    const { value } = solver;
    if (maxAbs(solver.grad) <= gradTol) return 'gradient';
    if (iterations === 0) return undefined;
    if (funTol > 0 && before - value <= funTol * Math.max(Math.abs(before), Math.abs(value))) return 'function';
    if (stepTol > 0 && solver.lastMove <= stepTol * Math.max(1, maxAbs(solver.x))) return 'step';
    return iterations >= maxIterations ? 'iterations' : undefined;
  };

  const run = (): MinimizeReason => {
    solver.x.set(x0);
    solver.start(evaluate);
    if (!isFinitePoint(solver.value, solver.grad)) return 'non-finite';
    let reason = reasonToEnd(solver.value);
    while (reason === undefined) {
      const before = solver.value;
      const outcome = solver.iterate(evaluate, 'strong-wolfe', 1);
      if (outcome !== 'moved') return outcome;
      iterations++;
      const isStopped = callback?.({
        iteration: iterations,
        x: solver.x.slice(),
        value: solver.value,
        gradNorm: norm(solver.grad),
        evaluations: budget.evaluations,
      });
      reason = isStopped === true ? 'aborted' : reasonToEnd(before);
    }
    return reason;
  };

  let reason: MinimizeReason;
  try {
    reason = run();
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    if (solver.keepBest()) iterations++;
    reason = error.reason;
  }
  return {
    x: solver.x,
    value: solver.value,
    gradNorm: Number.isNaN(solver.value) ? Number.NaN : norm(solver.grad),
    iterations,
    evaluations: budget.evaluations,
    nonFinite: budget.nonFinite,
    converged: reason === 'gradient' || reason === 'function' || reason === 'step',
    reason,
  } satisfies MinimizeResult;
};
