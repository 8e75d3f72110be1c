import { checkFunction } from '../../check/options.js';
import type { AnyParams, ArraysOf, FilledGrads } from '../../core/params-of.js';
import { type ClosureStepLimits, checkLimits, limitNames } from '../closure-limits.js';
import { checkSettings, type HessianFreeHyperParameters, hyperParameterNames } from './settings.js';

/** The functions of curvature that {@link HessianFree} calls. */
export interface HessianFreeFunctions<P = AnyParams> {
  /**
   * Writes G·v to `out`, every element of it, where G is the Gauss-Newton matrix at the params for the curvature batch.
   * `params` are those given to the constructor; `v` and `out` have their structure. Must not change params and `v`.
   * The batch must be the same during a step. See {@link gaussNewtonProduct}. Required.
   */
  readonly gaussNewton: (params: P, v: ArraysOf<P>, out: ArraysOf<P>) => void;
  /**
   * Writes the sum over the examples of their squared gradients at the params to `out`, element by element. With it,
   * conjugate gradients are preconditioned by (squares + λ)^¾. Default: no preconditioner.
   */
  readonly squaredGradients?: ((params: P, out: ArraysOf<P>) => void) | undefined;
}

/** Options of {@link HessianFree}. */
export interface HessianFreeOptions<P = AnyParams>
  extends HessianFreeFunctions<P>,
    HessianFreeHyperParameters,
    ClosureStepLimits {
  /** The arrays that the closure fills, in the structure of the params. Required. */
  readonly grads: FilledGrads<P>;
}

/** The options that a state dict holds: all but the gradients and functions. */
export const optionNames = [...hyperParameterNames, ...limitNames] as const;

/** The options with their defaults filled in. */
export type ResolvedOptions = { readonly [K in (typeof optionNames)[number]]-?: number };

/** Checks the options and fills in their defaults. @throws TypeError, RangeError */
export function resolveOptions(who: string, options: Partial<ResolvedOptions>): ResolvedOptions {
  return {
    ...checkSettings(who, options),
    ...checkLimits(who, options, { maxIterations: 1, maxEvaluations: () => Number.POSITIVE_INFINITY }),
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
