import { rangeError, show, typeError } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOneOf } from '../../check/options.js';
import type { Scalar } from '../../core/declaration.js';
import type { AnyParams, FilledGrads } from '../../core/params-of.js';
import { type ClosureStepLimits, checkLimits, limitNames } from '../closure-limits.js';
import type { LineSearchName } from './solver.js';

/** Options of {@link LBFGS}. */
export interface LBFGSOptions<P = AnyParams> extends ClosureStepLimits {
  /** The arrays that the closure fills, in the structure of the params. Required. */
  readonly grads: FilledGrads<P>;
  /**
   * Factor of the first step that a line search tries; without a line search, the step itself. A Schedule is evaluated
   * once for each call of `step`. (0, inf), default 1.
   */
  readonly lr?: Scalar | undefined;
  /** Number of curvature pairs kept. Each takes 2 float32 for each element. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
  /**
   * 'strong-wolfe' searches for a step that satisfies the strong Wolfe conditions; 'none' uses lr as the step. Default
   * 'strong-wolfe'.
   */
  readonly lineSearch?: LineSearchName | undefined;
}

/** The options that a state dict holds: all but `grads`. */
export const optionNames = ['lr', 'historySize', 'lineSearch', ...limitNames] as const;

/** The options with their defaults filled in. */
export type ResolvedOptions = { readonly [K in (typeof optionNames)[number]]-?: NonNullable<LBFGSOptions[K]> };

/** Checks the options and fills in their defaults. @throws TypeError, RangeError */
export function resolveOptions(who: string, options: Partial<ResolvedOptions>): ResolvedOptions {
  const { lr = 1, historySize = 10, lineSearch = 'strong-wolfe' } = options;
  return {
    lr: typeof lr === 'function' ? lr : checkNumber(who, 'lr', lr, '(0, inf)'),
    historySize: checkInteger(who, 'historySize', historySize, '[1, inf)'),
    lineSearch: checkOneOf(who, 'lineSearch', lineSearch, ['strong-wolfe', 'none']),
    ...checkLimits(who, options, {
      maxIterations: 20,
      maxEvaluations: (maxIterations) => Math.max(21, Math.floor(1.25 * maxIterations)),
    }),
  };
}

/** The value of lr at step 1, 2, …. @throws TypeError, RangeError for an invalid value of a Schedule */
export function lrAt(who: string, lr: Scalar, step: number): number {
  if (typeof lr === 'number') return lr;
  const value: unknown = lr(step);
  try {
    return checkNumber(who, 'lr', value, '(0, inf)');
  } catch (error) {
    const makeError = error instanceof RangeError ? rangeError : typeError;
    throw makeError(who, 'lr', show(value), '(0, inf)', `from its schedule at step ${step}`);
  }
}
