import { checkInteger, checkNumber, checkOptions } from '../../check/options.js';
import { type Evaluate, LineSearchSolver } from '../lbfgs/solver.js';
import { maxAbs, norm, type Vector } from '../linalg.js';
import { Budget, Interruption } from './budget.js';
import {
  type CommonOptions,
  checkCommon,
  commonOptionNames,
  type Method,
  type MinimizeReason,
  type MinimizeResult,
  termsOptionNames,
} from './method.js';
import { evaluateAll, isFinitePoint } from './objective.js';

const who = 'minimize';

/** Options of `minimize` with method 'lbfgs'. */
export interface LBFGSMethodOptions<T extends Vector = Vector> extends CommonOptions<T> {
  /** Default 'lbfgs'. */
  readonly method?: 'lbfgs' | undefined;
  /** Ends where max |gᵢ| is at most this. [0, inf), default 1e-8. */
  readonly gradTol?: number | undefined;
  /** Ends after an iteration that lowers the value by at most this times its size. [0, inf), default 1e-15; 0: never. */
  readonly funTol?: number | undefined;
  /** Ends after an iteration with max |Δxᵢ| at most this times max(1, max |xᵢ|). [0, inf), default 0: never. */
  readonly stepTol?: number | undefined;
  /** Curvature pairs that are kept. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
}

const optionNames = ['gradTol', 'funTol', 'stepTol', 'historySize'] as const;

/** L-BFGS on a function, or on the sum of its terms. */
export const byLbfgs: Method = ({ fn, x0, make, N }, options) => {
  checkOptions(who, options, [...commonOptionNames, ...optionNames, ...(N === undefined ? [] : termsOptionNames)]);
  const { maxIterations = 10_000, maxEvaluations, callback, signal, onPass } = checkCommon(options, N);
  const { gradTol = 1e-8, funTol = 1e-15, stepTol = 0, historySize = 10 } = options as LBFGSMethodOptions;
  checkNumber(who, 'gradTol', gradTol, '[0, inf)');
  checkNumber(who, 'funTol', funTol, '[0, inf)');
  checkNumber(who, 'stepTol', stepTol, '[0, inf)');
  checkInteger(who, 'historySize', historySize, '[1, inf)');

  const budget = new Budget(maxEvaluations, signal);
  const solver = new LineSearchSolver(x0.length, make, historySize);
  const all = evaluateAll(who, fn, x0.length, make);
  const evaluate: Evaluate = (x, grad) => {
    budget.spend(N);
    const value = all(x, grad);
    if (!isFinitePoint(value, grad)) budget.nonFinite++;
    // What is lower than the point of the iteration is most likely its next one.
    onPass?.((value < solver.value || Number.isNaN(solver.value) ? x : solver.x).slice());
    return value;
  };
  let iterations = 0;

  /** The reason to end at the point of the iteration, if there is one. */
  const ending = (before: number): MinimizeReason | undefined => {
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
    let reason = ending(solver.value);
    while (reason === undefined) {
      const before = solver.value;
      const outcome = solver.iterate(evaluate, 'strong-wolfe', 1);
      if (outcome !== 'moved') return outcome;
      iterations++;
      const wantsEnd = callback?.({
        iteration: iterations,
        x: solver.x.slice(),
        value: solver.value,
        gradNorm: norm(solver.grad),
        evaluations: budget.evaluations,
      });
      reason = wantsEnd === true ? 'aborted' : ending(before);
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
