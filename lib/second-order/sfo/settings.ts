import { totalmem } from 'node:os';
import { rangeError, show } from '../../check/errors.js';
import { checkInteger, checkNumber, checkOneOf } from '../../check/options.js';
import type { HessianUpdate } from './hessian.js';
import { subspaceSize } from './subspace.js';

/** How the next term is chosen among the active terms. @inline */
export type Selection = 'distance' | 'random' | 'cyclic';

/** The hyper-parameters of SFO. The defaults are those of the paper's authors and need no tuning. */
export interface SFOHyperParameters {
  /** Number of gradient changes kept for each term. An integer in [1, inf), default 10. */
  readonly historySize?: number | undefined;
  /**
   * Curvature assumed for the first terms. Choose it large, because the first step has the length
   * ‖gradient‖/hessianInit. If it is too large, rounding hides the effect of that step. (0, 1e100], default 1e5.
   */
  readonly hessianInit?: number | undefined;
  /**
   * Number of terms that are active from the start. The others join one at a time. An integer in [1, inf), default 2.
   */
  readonly initialActive?: number | undefined;
  /**
   * Upper bound on the condition number of a term's Hessian: largest over smallest eigenvalue. [1, inf), default 1e8.
   */
  readonly maxDeviation?: number | undefined;
  /**
   * Which term is evaluated next: 'distance', the one farthest from the point of its last evaluation; 'random'; or
   * 'cyclic', one after the other. Default 'distance'.
   */
  readonly selection?: Selection | undefined;
  /**
   * A term joins when the squared standard error of the mean gradient reaches this multiple of its squared norm. The
   * inverse Hessian measures both. [0, inf], default 1.
   */
  readonly maxGradientNoise?: number | undefined;
  /**
   * Upper bound on the length of a step, as a multiple of the mean length; from the second pass on. (0, inf], default
   * 10.
   */
  readonly maxStepRatio?: number | undefined;
  /** Lower bound on the length of a step. A shorter step would show no curvature. [0, inf), default 1e-8. */
  readonly minStep?: number | undefined;
  /** The quasi-Newton update of a term's Hessian: BFGS or symmetric rank one. Default 'bfgs'. */
  readonly hessianUpdate?: HessianUpdate | undefined;
  /** Seed of the random choices. An integer in [0, 2^32), default 0. */
  readonly seed?: number | undefined;
}

/** The hyper-parameters with their defaults filled in, without the seed. */
export type SFOSettings = {
  readonly [K in Exclude<keyof SFOHyperParameters, 'seed'>]-?: NonNullable<SFOHyperParameters[K]>;
};

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

/** Refuses more terms than there is memory for. @throws RangeError */
export function checkTermCount(who: string, argument: string, N: number, elements: number): void {
  const { size } = subspaceSize(elements, N);
  const bytes = 8 * (size ** 2 + (size === elements ? 0 : size * elements));
  const gigabytes = (value: number): string => `${Math.round(value / 1e9)} GB`;
  if (bytes > totalmem())
    throw rangeError(
      who,
      argument,
      show(N),
      'fewer terms',
      `with ${elements} elements they take ${gigabytes(bytes)}, and this machine has ${gigabytes(totalmem())}`,
    );
}

/** Checks the hyper-parameters and fills in their defaults. @throws TypeError, RangeError */
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
