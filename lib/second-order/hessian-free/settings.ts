import { checkInteger, checkNumber } from '../../check/options.js';

/** Hyper-parameters of Hessian-free optimization. */
export interface HessianFreeHyperParameters {
  /**
   * The damping λ of the first iteration: conjugate gradients work on G + λ. Each iteration adapts λ; 0 stays 0.
   * [0, inf), default 1.
   */
  readonly damping?: number | undefined;
  /** Conjugate gradients start from this times their last iterate. [0, 1], default 0.95. */
  readonly cgDecay?: number | undefined;
  /**
   * Conjugate gradients stop when k = max(10, ⌈i/10⌉) iterations have lowered the model by less than k times this,
   * relative to its value. [0, inf), default 5e-4.
   */
  readonly cgTol?: number | undefined;
  /** Largest number of iterations of conjugate gradients in one iteration. An integer in [1, inf), default 250. */
  readonly maxCgIterations?: number | undefined;
}

export const hyperParameterNames = ['damping', 'cgDecay', 'cgTol', 'maxCgIterations'] as const;

/** The hyper-parameters with their defaults filled in. */
export type HessianFreeSettings = { readonly [K in (typeof hyperParameterNames)[number]]-?: number };

/** Checks the hyper-parameters and fills in their defaults. @throws TypeError, RangeError */
export function checkSettings(who: string, options: HessianFreeHyperParameters): HessianFreeSettings {
  const { damping = 1, cgDecay = 0.95, cgTol = 5e-4, maxCgIterations = 250 } = options;
  return {
    damping: checkNumber(who, 'damping', damping, '[0, inf)'),
    cgDecay: checkNumber(who, 'cgDecay', cgDecay, '[0, 1]'),
    cgTol: checkNumber(who, 'cgTol', cgTol, '[0, inf)'),
    maxCgIterations: checkInteger(who, 'maxCgIterations', maxCgIterations, '[1, inf)'),
  };
}
