import { rangeError, show } from '../check/errors.js';
import { checkBoolean, checkNumber, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSteps, checkValue, cosineRise, fromFirstStep, interpolate } from './common.js';

/** Options of both {@link oneCycle} and {@link oneCycleMomentum}: the shape of the cycle. */
export interface OneCycleShape {
  /** Number of steps in the whole cycle. An integer in [1, inf). */
  readonly totalSteps: number;
  /** Fraction of the steps before the peak. [0, 1], default 0.3. */
  readonly pctStart?: number;
  /** Shape of each phase: half a cosine wave or a straight line. Default 'cos'. */
  readonly anneal?: 'cos' | 'linear';
  /**
   * Whether to return to the initial value first, in as many steps as the rise took, and then go to the final value.
   * Default false.
   */
  readonly threePhase?: boolean;
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions extends OneCycleShape {
  /** The initial value is max/divFactor. (0, inf), default 25. */
  readonly divFactor?: number;
  /** The final value is the initial value divided by this. (0, inf), default 1e4. */
  readonly finalDivFactor?: number;
}

/** Options of {@link oneCycleMomentum}. */
export interface OneCycleMomentumOptions extends OneCycleShape {
  /** The momentum at the peak of the learning rate. [0, 1), default 0.85. */
  readonly base?: number;
  /** The momentum at the start and at the end. [base, 1), default 0.95. */
  readonly max?: number;
}

const shape = ['totalSteps', 'pctStart', 'anneal', 'threePhase'] as const;

interface Levels {
  readonly start: number;
  readonly peak: number;
  /** The value at the end of the second of three phases. */
  readonly middle: number;
  readonly end: number;
}

/** Anneals from level to level. As in PyTorch, the phases end 1 and 2 steps early, possibly at a fraction of a step. */
function phases(
  who: string,
  argsOf: (shape: OneCycleShape) => readonly unknown[],
  options: OneCycleShape,
  { start, peak, middle, end }: Levels,
): Schedule {
  const { totalSteps, pctStart = 0.3, anneal = 'cos', threePhase = false } = options;
  checkSteps(who, 'totalSteps', totalSteps);
  checkNumber(who, 'pctStart', pctStart, '[0, 1]');
  checkOneOf(who, 'anneal', anneal, ['cos', 'linear']);
  checkBoolean(who, 'threePhase', threePhase);

  const last = totalSteps - 1;
  const up = pctStart * totalSteps - 1;
  const down = 2 * pctStart * totalSteps - 2;
  const rise = { first: 0, last: up, from: start, to: peak };
  const fall = threePhase
    ? { first: up, last: down, from: peak, to: middle }
    : { first: up, last, from: peak, to: end };
  const final = threePhase ? { first: down, last, from: middle, to: end } : fall;
  return fromFirstStep(who, argsOf({ totalSteps, pctStart, anneal, threePhase }), (step) => {
    const k = Math.min(step - 1, last);
    const phase = k <= rise.last ? rise : k <= fall.last ? fall : final;
    // A rise of length 0 starts at the peak. PyTorch divides by 0 here.
    const x = phase.last === phase.first ? 1 : (k - phase.first) / (phase.last - phase.first);
    return interpolate(phase.from, phase.to, anneal === 'cos' ? cosineRise(x) : x);
  });
}

/**
 * The 1cycle policy: rises to a large learning rate, then falls far below the initial one.
 *
 * Formula: from max/divFactor to max in the first pctStart·totalSteps − 1 steps, then to max/divFactor/finalDivFactor
 * at step totalSteps. That value is held; PyTorch's schedule would rise again, or throw. With threePhase it returns to
 * max/divFactor first, in as many steps as the rise took.
 *
 * @param max the value at the peak, [0, inf)
 * @param options `totalSteps`, `pctStart`, `anneal`, `divFactor`, `finalDivFactor`, `threePhase`:
 *   {@link OneCycleOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Smith & Topin 2018, https://arxiv.org/abs/1708.07120; PyTorch's `OneCycleLR`
 * @example
 * ```ts
 * import { oneCycle } from 'schuss';
 *
 * const lr = oneCycle(1, { totalSteps: 100 });
 * lr(1); // 0.04
 * lr(30); // 1
 * lr(100); // 0.000004
 * ```
 */
export function oneCycle(max: number, options: OneCycleOptions): Schedule {
  const who = 'oneCycle';
  checkValue(who, 'max', max);
  checkKeys(who, options, [...shape, 'divFactor', 'finalDivFactor']);
  const { divFactor = 25, finalDivFactor = 1e4 } = options;
  checkNumber(who, 'divFactor', divFactor, '(0, inf)');
  checkNumber(who, 'finalDivFactor', finalDivFactor, '(0, inf)');
  const start = max / divFactor;
  return phases(who, (shape) => [max, { ...shape, divFactor, finalDivFactor }], options, {
    start,
    peak: max,
    middle: start,
    end: start / finalDivFactor,
  });
}

/**
 * Momentum for a {@link oneCycle} learning rate of the same shape: low when the learning rate is high.
 *
 * Formula: from max to base and back to max, in the phases of {@link oneCycle}. With threePhase, it stays at max in the
 * third phase.
 *
 * @param options `totalSteps`, `base`, `max`, `pctStart`, `anneal`, `threePhase`: {@link OneCycleMomentumOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Smith 2018, https://arxiv.org/abs/1803.09820; PyTorch's `OneCycleLR` (cycle_momentum)
 * @example
 * ```ts
 * import { oneCycleMomentum } from 'schuss';
 *
 * const momentum = oneCycleMomentum({ totalSteps: 100 });
 * momentum(1); // 0.95
 * momentum(30); // 0.85
 * momentum(100); // 0.95
 * ```
 */
export function oneCycleMomentum(options: OneCycleMomentumOptions): Schedule {
  const who = 'oneCycleMomentum';
  checkKeys(who, options, [...shape, 'base', 'max']);
  const { base = 0.85, max = 0.95 } = options;
  checkNumber(who, 'base', base, '[0, 1)');
  checkNumber(who, 'max', max, '[0, 1)');
  if (max < base) throw rangeError(who, 'max', show(max), `at least base, ${base}`);
  return phases(who, (shape) => [{ ...shape, base, max }], options, { start: max, peak: base, middle: max, end: max });
}
