import { rangeError } from '../check/errors.js';
import type { Schedule } from '../core/schedule.js';
import {
  checkAbsent,
  checkArray,
  checkAscending,
  checkBoundaries,
  checkKeys,
  checkSteps,
  checkValue,
  countReached,
  fromFirstStep,
  interpolate,
} from './common.js';

/**
 * Returns the same value at every step.
 *
 * Formula: lr.
 *
 * @param lr the value, [0, inf)
 * @throws TypeError for a wrong type, RangeError for a value out of range
 * @example
 * ```ts
 * import { constant } from 'schuss';
 *
 * const lr = constant(0.1);
 * lr(1); // 0.1
 * lr(1000); // 0.1
 * ```
 */
export function constant(lr: number): Schedule {
  checkValue('constant', 'lr', lr);
  return fromFirstStep('constant', [lr], () => lr);
}

/** Options of {@link stepDecay}. */
export interface StepDecayOptions {
  /** Number of steps between two decays. An integer in [1, inf). */
  readonly every: number;
  /** Factor of each decay. [0, inf), default 0.1. */
  readonly factor?: number;
}

/**
 * Multiplies by a factor after every `every` steps.
 *
 * Formula: lr·factor^⌊k/every⌋, k = step − 1.
 *
 * @param lr the initial value, [0, inf)
 * @param options `every`, `factor`: {@link StepDecayOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see PyTorch's `StepLR`
 * @example
 * ```ts
 * import { stepDecay } from 'schuss';
 *
 * const lr = stepDecay(1, { every: 30, factor: 0.5 });
 * lr(30); // 1
 * lr(31); // 0.5
 * lr(61); // 0.25
 * ```
 */
export function stepDecay(lr: number, options: StepDecayOptions): Schedule {
  const who = 'stepDecay';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['every', 'factor']);
  const { every, factor = 0.1 } = options;
  checkSteps(who, 'every', every);
  checkValue(who, 'factor', factor);
  return fromFirstStep(who, [lr, { every, factor }], (step) => lr * factor ** Math.floor((step - 1) / every));
}

/** Options of {@link exponentialDecay}: `rate` or `gamma`. They are equivalent if gamma = e^(−rate). */
export type ExponentialDecayOptions =
  | {
      /** Decay rate for each step, in the exponent of e. [0, inf). */
      readonly rate: number;
      readonly gamma?: never;
    }
  | {
      /** Factor of each step. [0, inf). */
      readonly gamma: number;
      readonly rate?: never;
    };

/**
 * Multiplies by the same factor after every step.
 *
 * Formula: lr·e^(−rate·k) or lr·gamma^k, k = step − 1.
 *
 * @param lr the initial value, [0, inf)
 * @param options `rate` or `gamma`: {@link ExponentialDecayOptions}
 * @throws TypeError for a wrong type, an unknown option, or neither or both of `rate` and `gamma`; RangeError for a
 *   value out of range
 * @see PyTorch's `ExponentialLR` (gamma)
 * @example
 * ```ts
 * import { exponentialDecay } from 'schuss';
 *
 * const lr = exponentialDecay(1, { gamma: 0.5 });
 * lr(1); // 1
 * lr(4); // 0.125
 * exponentialDecay(1, { rate: Math.LN2 })(4); // 0.125
 * ```
 */
export function exponentialDecay(lr: number, options: ExponentialDecayOptions): Schedule {
  const who = 'exponentialDecay';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['rate', 'gamma']);
  const { rate, gamma } = options;
  if (gamma === undefined) {
    const given = checkValue(who, 'rate', rate);
    return fromFirstStep(who, [lr, { rate: given }], (step) => lr * Math.exp(-given * (step - 1)));
  }
  checkAbsent(who, 'rate', rate, 'gamma');
  checkValue(who, 'gamma', gamma);
  return fromFirstStep(who, [lr, { gamma }], (step) => lr * gamma ** (step - 1));
}

/** Options of {@link inverseTimeDecay}. */
export interface InverseTimeDecayOptions {
  /** Decay rate. The value halves in 1/rate steps. [0, inf). */
  readonly rate: number;
}

/**
 * Decays like 1/t, as in stochastic approximation.
 *
 * Formula: lr/(1 + rate·k), k = step − 1.
 *
 * @param lr the initial value, [0, inf)
 * @param options `rate`: {@link InverseTimeDecayOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Robbins & Monro 1951, https://doi.org/10.1214/aoms/1177729586
 * @example
 * ```ts
 * import { inverseTimeDecay } from 'schuss';
 *
 * const lr = inverseTimeDecay(1, { rate: 0.5 });
 * lr(1); // 1
 * lr(3); // 0.5
 * lr(7); // 0.25
 * ```
 */
export function inverseTimeDecay(lr: number, options: InverseTimeDecayOptions): Schedule {
  const who = 'inverseTimeDecay';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['rate']);
  const { rate } = options;
  checkValue(who, 'rate', rate);
  return fromFirstStep(who, [lr, { rate }], (step) => lr / (1 + rate * (step - 1)));
}

/** Options of {@link piecewiseConstant} with a factor. */
export interface PiecewiseFactorOptions {
  /**
   * Numbers of completed steps after which the value decays. Integers in [0, inf), in any order. A repeated one counts
   * twice.
   */
  readonly boundaries: readonly number[];
  /** Factor at each boundary. [0, inf), default 0.1. */
  readonly factor?: number;
  readonly values?: never;
}

/** Options of {@link piecewiseConstant} with given values. */
export interface PiecewiseValuesOptions {
  /** Numbers of completed steps after which the next value applies. Integers in [0, inf), in ascending order. */
  readonly boundaries: readonly number[];
  /**
   * The values before the first boundary, between boundaries, and after the last. One more than boundaries, each in
   * [0, inf).
   */
  readonly values: readonly number[];
  readonly factor?: never;
}

/**
 * Changes at given steps and stays constant between them.
 *
 * Formula: lr·factor^n or values[n], n = the number of boundaries ≤ k, k = step − 1.
 *
 * @param lr the initial value, [0, inf). `values` are absolute, so lr has no effect with them and can be left out.
 * @param options `boundaries` and `factor` or `values`: {@link PiecewiseFactorOptions}, {@link PiecewiseValuesOptions}
 * @throws TypeError for a wrong type, an unknown option, or both `factor` and `values`; RangeError for a value out of
 *   range, a wrong number of values, or boundaries that descend although `values` are given
 * @see PyTorch's `MultiStepLR` (factor)
 * @example
 * ```ts
 * import { piecewiseConstant } from 'schuss';
 *
 * const dropping = piecewiseConstant(1, { boundaries: [30, 80], factor: 0.5 });
 * dropping(30); // 1
 * dropping(31); // 0.5
 * dropping(81); // 0.25
 *
 * const given = piecewiseConstant({ boundaries: [100, 200], values: [0.1, 0.03, 0.01] });
 * given(100); // 0.1
 * given(101); // 0.03
 * given(201); // 0.01
 * ```
 */
export function piecewiseConstant(lr: number, options: PiecewiseFactorOptions | PiecewiseValuesOptions): Schedule;
export function piecewiseConstant(options: PiecewiseValuesOptions): Schedule;
export function piecewiseConstant(
  ...args: [lr: number, options: PiecewiseFactorOptions | PiecewiseValuesOptions] | [options: PiecewiseValuesOptions]
): Schedule {
  const who = 'piecewiseConstant';
  const [lr, options] =
    args.length === 1 && typeof args[0] === 'object'
      ? [undefined, args[0]]
      : (args as [number, PiecewiseFactorOptions]);
  checkKeys(who, options, ['boundaries', 'factor', 'values']);
  const { factor = 0.1, values } = options;
  if (lr !== undefined || values === undefined) checkValue(who, 'lr', lr);
  const boundaries = checkBoundaries(who, options.boundaries);
  if (values === undefined) {
    checkValue(who, 'factor', factor);
    return fromFirstStep(
      who,
      [lr, { boundaries, factor }],
      (step) => (lr as number) * factor ** countReached(boundaries, step - 1),
    );
  }
  checkAbsent(who, 'factor', options.factor, 'values');
  const pieces = checkArray(who, 'values', values, checkValue);
  if (pieces.length !== boundaries.length + 1) {
    throw rangeError(who, 'values', `length ${pieces.length}`, `${boundaries.length + 1}`, 'one more than boundaries');
  }
  checkAscending(who, boundaries);
  return fromFirstStep(
    who,
    [{ boundaries, values: pieces }],
    (step) => pieces[countReached(boundaries, step - 1)] as number,
  );
}

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Factor at step 1. [0, inf), default 1/3. */
  readonly from?: number;
  /** Factor after `steps` steps, and from then on. [0, inf), default 1. */
  readonly to?: number;
  /** Number of steps from `from` to `to`. An integer in [1, inf), default 5. */
  readonly steps?: number;
}

/**
 * Changes linearly between two multiples of lr, then stays constant.
 *
 * Formula: lr·(from + (to − from)·min(k, steps)/steps), k = step − 1.
 *
 * @param lr the initial value, [0, inf)
 * @param options `from`, `to`, `steps`: {@link LinearOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see PyTorch's `LinearLR`
 * @example
 * ```ts
 * import { linear } from 'schuss';
 *
 * const lr = linear(0.1, { from: 1, to: 0, steps: 100 });
 * lr(1); // 0.1
 * lr(51); // 0.05
 * lr(500); // 0
 * ```
 */
export function linear(lr: number, options: LinearOptions = {}): Schedule {
  const who = 'linear';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['from', 'to', 'steps']);
  const { from = 1 / 3, to = 1, steps = 5 } = options;
  checkValue(who, 'from', from);
  checkValue(who, 'to', to);
  checkSteps(who, 'steps', steps);
  return fromFirstStep(
    who,
    [lr, { from, to, steps }],
    (step) => lr * interpolate(from, to, Math.min(step - 1, steps) / steps),
  );
}

/** Options of {@link polynomial}. */
export interface PolynomialOptions {
  /** Number of steps until 0. An integer in [1, inf), default 5. */
  readonly steps?: number;
  /** Exponent. 1 is a straight line; above 1, the decay is faster at first. [0, inf), default 1. */
  readonly power?: number;
}

/**
 * Decays to 0 as a power of the fraction of steps that remain.
 *
 * Formula: lr·(1 − min(k, steps)/steps)^power, k = step − 1.
 *
 * @param lr the initial value, [0, inf)
 * @param options `steps`, `power`: {@link PolynomialOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see PyTorch's `PolynomialLR`
 * @example
 * ```ts
 * import { polynomial } from 'schuss';
 *
 * const lr = polynomial(1, { steps: 100, power: 2 });
 * lr(1); // 1
 * lr(51); // 0.25
 * lr(101); // 0
 * ```
 */
export function polynomial(lr: number, options: PolynomialOptions = {}): Schedule {
  const who = 'polynomial';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['steps', 'power']);
  const { steps = 5, power = 1 } = options;
  checkSteps(who, 'steps', steps);
  checkValue(who, 'power', power);
  return fromFirstStep(who, [lr, { steps, power }], (step) => lr * (1 - Math.min(step - 1, steps) / steps) ** power);
}
