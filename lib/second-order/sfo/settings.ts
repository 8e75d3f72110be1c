import { checkInteger, checkNumber, checkOneOf } from '../../check/options.js';
import type { HessianUpdate } from './hessian.js';
import type { Selection, SFOSettings } from './model.js';

/** The hyper-parameters of SFO. Their defaults are the authors'; none is meant to be tuned. */
export interface SFOHyperParameters {
  /** Changes of its gradient that are kept of each term. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
  /**
   * The curvature that is assumed of the first terms. Large, for the first step has the length ‖gradient‖/hessianInit; but not
   * so large that rounding hides what the step changes. (0, 1e100], default 1e5.
   */
  readonly hessianInit?: number | undefined;
  /** Terms that take part from the start; the others join one by one. An integer in [1, inf), default 2. */
  readonly initialActive?: number | undefined;
  /** The most that the largest eigenvalue of a term's Hessian may be of the least. [1, inf), default 1e8. */
  readonly maxDeviation?: number | undefined;
  /** Which term is evaluated next: that which is farthest from its last evaluation, a random one, or one after the other. Default 'distance'. */
  readonly selection?: Selection | undefined;
  /** The most that the square of the gradient's standard error may be of the gradient's, before a term joins. [0, inf], default 1. */
  readonly maxGradientNoise?: number | undefined;
  /** The most that a step may be of the mean one, from the second pass on. (0, inf], default 10. */
  readonly maxStepRatio?: number | undefined;
  /** The least length of a step: shorter ones would show no curvature. [0, inf), default 1e-8. */
  readonly minStep?: number | undefined;
  /** How a change corrects the Hessian of its term. Default 'bfgs'. */
  readonly hessianUpdate?: HessianUpdate | undefined;
  /** Of the random choices. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

export const sfoOptionNames = [
  'historySize',
  'hessianInit',
  'initialActive',
  'maxDeviation',
  'selection',
  'maxGradientNoise',
  'maxStepRatio',
  'minStep',
  'hessianUpdate',
  'seed',
] as const;

/** The options with their defaults, checked. @throws TypeError, RangeError */
export function checkSettings(who: string, options: SFOHyperParameters): SFOSettings & { readonly seed: number } {
  const {
    historySize = 10,
    hessianInit = 1e5,
    initialActive = 2,
    maxDeviation = 1e8,
    selection = 'distance',
    maxGradientNoise = 1,
    maxStepRatio = 10,
    minStep = 1e-8,
    hessianUpdate = 'bfgs',
    seed = 0,
  } = options;
  return {
    historySize: checkInteger(who, 'historySize', historySize, '[1, inf)'),
    hessianInit: checkNumber(who, 'hessianInit', hessianInit, '(0, 1e100]'),
    initialActive: checkInteger(who, 'initialActive', initialActive, '[1, inf)'),
    maxDeviation: checkNumber(who, 'maxDeviation', maxDeviation, '[1, inf)'),
    selection: checkOneOf(who, 'selection', selection, ['distance', 'random', 'cyclic']),
    maxGradientNoise: checkNumber(who, 'maxGradientNoise', maxGradientNoise, '[0, inf]'),
    maxStepRatio: checkNumber(who, 'maxStepRatio', maxStepRatio, '(0, inf]'),
    minStep: checkNumber(who, 'minStep', minStep, '[0, inf)'),
    hessianUpdate: checkOneOf(who, 'hessianUpdate', hessianUpdate, ['bfgs', 'rank1']),
    seed: checkInteger(who, 'seed', seed, '[0, 4294967296)'),
  };
}
