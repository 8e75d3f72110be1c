import { checkFunction, checkInteger, checkNumber } from '../../check/options.js';
import type { AnyParams, ArraysOf, FilledGrads } from '../../core/params-of.js';
import { checkLimit } from '../evaluation.js';
import { checkSettings, type HessianFreeHyperParameters, hyperParameterNames } from './settings.js';

/** The functions of curvature that {@link HessianFree} calls. */
export interface HessianFreeFunctions<P = AnyParams> {
  /**
   * Writes G·v to `out`, every element of it, where G is the Gauss-Newton matrix at the params for the curvature batch.
   * `params` are those given to the constructor; `v` and `out` have their structure. Must not change params and `v`. The
   * batch must be the same during a step. See {@link gaussNewtonProduct}. Required.
   */
  readonly gaussNewton: (params: P, v: ArraysOf<P>, out: ArraysOf<P>) => void;
  /**
   * Writes the sum over the examples of their squared gradients at the params to `out`, element by element. With it,
   * conjugate gradients are preconditioned by (squares + λ)^¾. Default: no preconditioner.
   */
  readonly squaredGradients?: ((params: P, out: ArraysOf<P>) => void) | undefined;
}

/** Options of {@link HessianFree}. */
export interface HessianFreeOptions<P = AnyParams> extends HessianFreeFunctions<P>, HessianFreeHyperParameters {
  /** The arrays that the closure fills, in the structure of the params. Required. */
  readonly grads: FilledGrads<P>;
  /** Largest number of iterations of one `step`. An integer in [1, inf), default 1. */
  readonly maxIterations?: number | undefined;
  /** Largest number of calls of the closure in one `step`. An integer in [1, inf], default Infinity. */
  readonly maxEvaluations?: number | undefined;
  /** A `step` ends when max |gᵢ| is at most this. [0, inf), default 1e-7. */
  readonly gradTol?: number | undefined;
  /** A `step` ends after an iteration that changes the loss by less than this. [0, inf), default 1e-9. */
  readonly funTol?: number | undefined;
  /**
   * A `step` ends after an iteration that changes no element of the params by more than this. [0, inf), default 1e-9.
   */
  readonly stepTol?: number | undefined;
}

/** The options that a state dict holds: all but the gradients and functions. */
export const optionNames = [
  ...hyperParameterNames,
  'maxIterations',
  'maxEvaluations',
  'gradTol',
  'funTol',
  'stepTol',
] as const;

/** The options with their defaults filled in. */
export type ResolvedOptions = { readonly [K in (typeof optionNames)[number]]-?: number };

/** Checks the options and fills in their defaults. @throws TypeError, RangeError */
export function resolveOptions(who: string, options: Partial<ResolvedOptions>): ResolvedOptions {
  const {
    maxIterations = 1,
    maxEvaluations = Number.POSITIVE_INFINITY,
    gradTol = 1e-7,
    funTol = 1e-9,
    stepTol = 1e-9,
  } = options;
  return {
    ...checkSettings(who, options),
    maxIterations: checkInteger(who, 'maxIterations', maxIterations, '[1, inf)'),
    maxEvaluations: checkLimit(who, 'maxEvaluations', maxEvaluations),
    gradTol: checkNumber(who, 'gradTol', gradTol, '[0, inf)'),
    funTol: checkNumber(who, 'funTol', funTol, '[0, inf)'),
    stepTol: checkNumber(who, 'stepTol', stepTol, '[0, inf)'),
  };
}

/** Checks the functions. @throws TypeError */
export function checkFunctions(
  who: string,
  { gaussNewton, squaredGradients }: HessianFreeFunctions,
): HessianFreeFunctions {
  checkFunction(who, 'gaussNewton', gaussNewton, 'a function, (params, v, out) => void, which writes G·v to out');
  if (squaredGradients !== undefined)
    checkFunction(who, 'squaredGradients', squaredGradients, 'a function, (params, out) => void');
  return { gaussNewton, squaredGradients };
}
