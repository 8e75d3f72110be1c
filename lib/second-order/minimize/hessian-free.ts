import { checkFunction, checkOptions } from '../../check/options.js';
import { checkSettings, type HessianFreeHyperParameters, hyperParameterNames } from '../hessian-free/settings.js';
import { HessianFreeSolver } from '../hessian-free/solver.js';
import type { Vector } from '../linalg.js';
import { type CurvatureFunctions, UserCurvature } from './curvature.js';
import { DescentRun, type MinimizeTolerances, toleranceNames } from './descent.js';
import {
  type Answer,
  type CommonOptions,
  commonOptionNames,
  type Method,
  type MinimizeProgress,
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
   * ρ: the change of the function, divided by the change that the quadratic model predicted, for the whole step.
   * −Infinity if the function rose.
   */
  readonly rho: number;
}

/** Options of `minimize` with method 'hessian-free'. */
export interface HessianFreeMethodOptions<T extends Vector = Vector, A = Answer, P = void>
  extends Omit<CommonOptions<T, A, P>, 'callback'>,
    HessianFreeHyperParameters,
    MinimizeTolerances {
  readonly method: 'hessian-free';
  /**
   * Writes G·v at `x` to `out`, every element of it, where G is the Gauss-Newton matrix, or another one without
   * negative eigenvalues. Must not change `x` and `v`. See {@link gaussNewtonProduct}. Required.
   */
  readonly gaussNewton: (x: T, v: T, out: T) => P;
  /**
   * Writes the sum over the examples of their squared gradients at `x` to `out`, element by element. With it, conjugate
   * gradients are preconditioned by (squares + λ)^¾. Default: no preconditioner.
   */
  readonly squaredGradients?: ((x: T, out: T) => P) | undefined;
  /** Called after each iteration. Return true to end the run, with reason 'aborted'. An exception passes through. */
  readonly callback?: ((progress: HessianFreeProgress<T>) => A) | undefined;
}

const optionNames = [
  ...commonOptionNames,
  'gaussNewton',
  'squaredGradients',
  ...hyperParameterNames,
  ...toleranceNames,
] as const;

/** Runs Hessian-free optimization on a function, or on the sum of the terms. */
export const minimizeHessianFree: Method = (problem, options) => {
  const { who, N, x0, VectorType } = problem;
  checkOptions(who, options, N === undefined ? optionNames : [...optionNames, ...termsOptionNames]);
  const { gaussNewton, squaredGradients } = options as unknown as HessianFreeMethodOptions;
  checkFunction(who, 'gaussNewton', gaussNewton, 'a function, (x, v, out) => void, which writes G·v to out');
  if (squaredGradients !== undefined) checkFunction(who, 'squaredGradients', squaredGradients);
  const tools = new RunTools(problem, options);
  const solver = new HessianFreeSolver(x0.length, VectorType, checkSettings(who, options));
  const functions = { gaussNewton, squaredGradients } as CurvatureFunctions;
  const curvature = new UserCurvature(problem, tools.budget, functions);
  return new DescentRun(problem, tools, options, {
    solver,
    iterate: (evaluate) => solver.iterate(evaluate, curvature),
    info: () => solver.info,
    maxIterations: 1000,
  }).run();
};
