import { rangeError, show } from '../check/errors.js';
import { checkBoolean, checkNumber, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkSteps, checkValue, cosineShare, interpolate } from './common.js';

/** The shape of {@link oneCycle} and {@link oneCycleMomentum}. */
export interface OneCycleShape {
  /** Steps of the whole cycle. An integer in [1, inf). */
  readonly totalSteps: number;
  /** The share of them that goes up. [0, 1], default 0.3. */
  readonly pctStart?: number;
  /** Half cosine waves or straight lines. Default 'cos'. */
  readonly anneal?: 'cos' | 'linear';
  /** Down to where it began in as many steps as up, and only then on to the end. Default false. */
  readonly threePhase?: boolean;
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions extends OneCycleShape {
  /** It starts at max/divFactor. (0, inf), default 25. */
  readonly divFactor?: number;
  /** It ends at the start/finalDivFactor. (0, inf), default 1e4. */
  readonly finalDivFactor?: number;
}

/** Options of {@link oneCycleMomentum}. */
export interface OneCycleMomentumOptions extends OneCycleShape {
  /** The momentum at the peak of the learning rate. [0, 1), default 0.85. */
  readonly base?: number;
  /** The momentum at the start and the end. [base, 1), default 0.95. */
  readonly max?: number;
}

const shape = ['totalSteps', 'pctStart', 'anneal', 'threePhase'] as const;

interface Levels {
  readonly start: number;
  readonly peak: number;
  /** Where the second of three phases ends. */
  readonly middle: number;
  readonly end: number;
}

/** Anneals from level to level. That the phases end 1 and 2 steps early, at fractions of a step, is PyTorch's. */
function phases(who: string, options: OneCycleShape, { start, peak, middle, end }: Levels): Schedule {
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
  return (step) => {
    const k = Math.min(step - 1, last);
    const phase = k <= rise.last ? rise : k <= fall.last ? fall : final;
    // A rise of no length (PyTorch divides by its 0) begins at the peak.
    const x = phase.last === phase.first ? 1 : (k - phase.first) / (phase.last - phase.first);
    return interpolate(phase.from, phase.to, anneal === 'cos' ? cosineShare(x) : x);
  };
}

/**
 * The 1cycle policy: up to a large learning rate, then down to a far smaller one than at the start.
 *
 * Formula: from max/divFactor to max in the first pctStart·totalSteps − 1 steps, then to max/divFactor/finalDivFactor,
 * reached by step totalSteps and held (PyTorch's would bounce back, or refuse); with threePhase it comes down
 * to max/divFactor first, in as many steps as it went up.
 *
 * @param max the peak, [0, inf)
 * @param options `totalSteps`, `pctStart`, `anneal`, `divFactor`, `finalDivFactor`, `threePhase`: {@link OneCycleOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
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
  return phases(who, options, { start, peak: max, middle: start, end: start / finalDivFactor });
}

/**
 * The momentum for a {@link oneCycle} learning rate of the same shape: low where that is high.
 *
 * Formula: from max to base and back to max in the phases of {@link oneCycle}; with threePhase max all through the third.
 *
 * @param options `totalSteps`, `base`, `max`, `pctStart`, `anneal`, `threePhase`: {@link OneCycleMomentumOptions}
 * @throws TypeError for another type or an unknown option, RangeError out of range
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
  return phases(who, options, { start: max, peak: base, middle: max, end: max });
}
