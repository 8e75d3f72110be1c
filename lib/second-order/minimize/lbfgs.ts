import { checkInteger, checkOptions } from '../../check/options.js';
import { LineSearchSolver } from '../lbfgs/solver.js';
import type { Vector } from '../linalg.js';
import { DescentRun, type MinimizeTolerances, toleranceNames } from './descent.js';
import {
  type Answer,
  type CommonOptions,
  commonOptionNames,
  type Method,
  RunTools,
  termsOptionNames,
} from './method.js';

/** Options of `minimize` with method 'lbfgs'. */
export interface LBFGSMethodOptions<T extends Vector = Vector, A = Answer, P = void>
  extends CommonOptions<T, A, P>,
    MinimizeTolerances {
  /** Default 'lbfgs'. */
  readonly method?: 'lbfgs' | undefined;
  /** Number of curvature pairs kept. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
}

const optionNames = [...commonOptionNames, ...toleranceNames, 'historySize'] as const;

/** Runs L-BFGS on a function, or on the sum of the terms. */
export const minimizeLbfgs: Method = (problem, options) => {
  const { who, N, x0, VectorType } = problem;
  checkOptions(who, options, N === undefined ? optionNames : [...optionNames, ...termsOptionNames]);
  const tools = new RunTools(problem, options);
  const { historySize = 10 } = options as LBFGSMethodOptions;
  checkInteger(who, 'historySize', historySize, '[1, inf)');
  const solver = new LineSearchSolver(x0.length, VectorType, historySize);
  return new DescentRun(problem, tools, options, {
    solver,
    iterate: (evaluate) => solver.iterate(evaluate, 'strong-wolfe', 1),
    maxIterations: 10_000,
  }).run();
};
