import { rangeError, show } from '../check/errors.js';
import { checkNumber, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSteps, checkValue, fromFirstStep, interpolate } from './common.js';

/** Options of both {@link cyclic} and {@link cyclicMomentum}: the shape of the cycle. */
export interface CycleShape {
  /** Number of steps from the start of a cycle to its peak. An integer in [1, inf), default 2000. */
  readonly stepsUp?: number;
  /** Number of steps from the peak to the end of the cycle. An integer in [1, inf), default `stepsUp`. */
  readonly stepsDown?: number;
  /**
   * How the height of the peak changes: 'triangular', not at all; 'triangular2', it halves after each cycle;
   * 'exp_range', `gamma` multiplies it after each step. Default 'triangular'.
   */
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range';
  /** Factor of the height after each step in mode 'exp_range'. The other modes ignore it. (0, 1], default 1. */
  readonly gamma?: number;
}

/** Options of {@link cyclic}. */
export interface CyclicOptions extends CycleShape {
  /** The value at the start and the end of each cycle. [0, inf). */
  readonly base: number;
  /** The value at the peak. [base, inf). */
  readonly max: number;
}

/** Options of {@link cyclicMomentum}. */
export interface CyclicMomentumOptions extends CycleShape {
  /** The momentum at the peak of the learning rate. [0, 1), default 0.8. */
  readonly base?: number;
  /** The momentum at the start and the end of each cycle. [base, 1), default 0.9. */
  readonly max?: number;
}

const known = ['base', 'max', 'stepsUp', 'stepsDown', 'mode', 'gamma'] as const;

/** The height after k completed steps: 0 at both ends of a cycle, at most 1 at its peak. */
function triangle(
  who: string,
  { stepsUp = 2000, stepsDown = stepsUp, mode = 'triangular', gamma = 1 }: CycleShape,
): { readonly shape: CycleShape; readonly height: (k: number) => number } {
  checkSteps(who, 'stepsUp', stepsUp);
  checkSteps(who, 'stepsDown', stepsDown);
  checkOneOf(who, 'mode', mode, ['triangular', 'triangular2', 'exp_range']);
  checkNumber(who, 'gamma', gamma, '(0, 1]');
  const period = stepsUp + stepsDown;
  const height = (k: number): number => {
    const position = k % period;
    const share = position <= stepsUp ? position / stepsUp : (period - position) / stepsDown;
    if (mode === 'triangular2') return share * 0.5 ** Math.floor(k / period);
    if (mode === 'exp_range') return share * gamma ** k;
    return share;
  };
  return { shape: { stepsUp, stepsDown, mode, gamma }, height };
}

/**
 * Cycles linearly between two bounds, forever.
 *
 * Formula: base + (max − base)·h(k)·s, k = step − 1. h rises from 0 to 1 in stepsUp steps and falls back in stepsDown
 * steps. s is 1 ('triangular'), 2^−(completed cycles) ('triangular2') or gamma^k ('exp_range').
 *
 * @param options `base`, `max`, `stepsUp`, `stepsDown`, `mode`, `gamma`: {@link CyclicOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Smith 2017, https://arxiv.org/abs/1506.01186; PyTorch's `CyclicLR`
 * @example
 * ```ts
 * import { cyclic } from 'schuss';
 *
 * const lr = cyclic({ base: 0.1, max: 0.5, stepsUp: 10, mode: 'triangular2' });
 * lr(1); // 0.1
 * lr(11); // 0.5
 * lr(21); // 0.1
 * lr(31); // 0.3
 * ```
 */
export function cyclic(options: CyclicOptions): Schedule {
  const who = 'cyclic';
  checkKeys(who, options, known);
  const { base, max } = options;
  checkValue(who, 'base', base);
  checkValue(who, 'max', max);
  if (max < base) throw rangeError(who, 'max', show(max), `at least base, ${base}`);
  const { shape, height } = triangle(who, options);
  return fromFirstStep(who, [{ base, max, ...shape }], (step) => interpolate(base, max, height(step - 1)));
}

/**
 * Momentum for a {@link cyclic} learning rate of the same shape: low when the learning rate is high.
 *
 * Formula: max − (max − base)·h(k)·s, with k, h and s as in {@link cyclic}.
 *
 * @param options `base`, `max`, `stepsUp`, `stepsDown`, `mode`, `gamma`: {@link CyclicMomentumOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Smith 2018, https://arxiv.org/abs/1803.09820; PyTorch's `CyclicLR` (cycle_momentum)
 * @example
 * ```ts
 * import { cyclicMomentum } from 'schuss';
 *
 * const momentum = cyclicMomentum({ stepsUp: 10 });
 * momentum(1); // 0.9
 * momentum(11); // 0.8
 * momentum(21); // 0.9
 * ```
 */
export function cyclicMomentum(options: CyclicMomentumOptions = {}): Schedule {
  const who = 'cyclicMomentum';
  checkKeys(who, options, known);
  const { base = 0.8, max = 0.9 } = options;
  checkNumber(who, 'base', base, '[0, 1)');
  checkNumber(who, 'max', max, '[0, 1)');
  if (max < base) throw rangeError(who, 'max', show(max), `at least base, ${base}`);
  const { shape, height } = triangle(who, options);
  return fromFirstStep(who, [{ base, max, ...shape }], (step) => interpolate(max, base, height(step - 1)));
}
