import { checkInteger, checkNumber } from '../check/options.js';
import { checkLimit } from './evaluation.js';

/** When a `step` of {@link LBFGS} or {@link HessianFree} ends. Such a step calls its closure several times. */
export interface ClosureStepLimits {
  /** Largest number of iterations of one `step`. An integer in [1, inf). Default 20 in `LBFGS`, 1 in `HessianFree`. */
  readonly maxIterations?: number | undefined;
  /**
   * Largest number of calls of the closure in one `step`. An integer in [1, inf]. Default max(21, ⌊1.25 ·
   * maxIterations⌋) in `LBFGS`, because one line search needs at most 21; Infinity in `HessianFree`.
   */
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

export const limitNames = ['maxIterations', 'maxEvaluations', 'gradTol', 'funTol', 'stepTol'] as const;

/** Checks the limits and fills in their defaults. @throws TypeError, RangeError */
export function checkLimits(
  who: string,
  options: ClosureStepLimits,
  defaults: { readonly maxIterations: number; maxEvaluations(maxIterations: number): number },
): { readonly [K in (typeof limitNames)[number]]: number } {
  const { maxIterations = defaults.maxIterations, gradTol = 1e-7, funTol = 1e-9, stepTol = 1e-9 } = options;
  checkInteger(who, 'maxIterations', maxIterations, '[1, inf)');
  const { maxEvaluations = defaults.maxEvaluations(maxIterations) } = options;
  return {
    maxIterations,
    maxEvaluations: checkLimit(who, 'maxEvaluations', maxEvaluations),
    gradTol: checkNumber(who, 'gradTol', gradTol, '[0, inf)'),
    funTol: checkNumber(who, 'funTol', funTol, '[0, inf)'),
    stepTol: checkNumber(who, 'stepTol', stepTol, '[0, inf)'),
  };
}
