import { checkInteger, checkOneOf } from '../check/options.js';
import type { Schedule } from '../core/schedule.js';
import { checkKeys, checkValue, cosineRise, fromFirstStep, interpolate } from './common.js';

/** Options of {@link swaAnnealing}. */
export interface SwaAnnealingOptions {
  /** The final value, at which the weights are averaged. [0, inf). It may be above lr. */
  readonly swaLr: number;
  /** Number of steps from lr to `swaLr`. An integer in [0, inf), default 10; 0 means `swaLr` from the first step on. */
  readonly annealSteps?: number;
  /** Shape of the way: half a cosine wave or a straight line. Default 'cos'. */
  readonly anneal?: 'cos' | 'linear';
}

/**
 * Moves from lr to the constant rate of stochastic weight averaging (SWA), where `WeightAverage` with `mode: 'swa'`
 * collects the weights.
 *
 * Formula: lr + (swaLr − lr)·a(min(k/annealSteps, 1)), k = step − 1, a(x) = (1 − cos πx)/2 ('cos') or x ('linear').
 *
 * @param lr the value at step 1, [0, inf): the learning rate that training has reached
 * @param options `swaLr`, `annealSteps`, `anneal`: {@link SwaAnnealingOptions}
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @see Izmailov et al. 2018, https://arxiv.org/abs/1803.05407; PyTorch's `SWALR`
 * @example
 * ```ts
 * import { cosine, sequence, swaAnnealing } from 'schuss';
 *
 * const training = cosine(0.1, { steps: 200 });
 * const lr = sequence([training, swaAnnealing(training(151), { swaLr: 0.05 })], { boundaries: [150] });
 * lr(101); // 0.05
 * lr(151) === training(151); // true
 * lr(161); // 0.05
 * lr(500); // 0.05
 * ```
 */
export function swaAnnealing(lr: number, options: SwaAnnealingOptions): Schedule {
  const who = 'swaAnnealing';
  checkValue(who, 'lr', lr);
  checkKeys(who, options, ['swaLr', 'annealSteps', 'anneal']);
  const { swaLr, annealSteps = 10, anneal = 'cos' } = options;
  checkValue(who, 'swaLr', swaLr);
  checkInteger(who, 'annealSteps', annealSteps, '[0, inf)');
  checkOneOf(who, 'anneal', anneal, ['cos', 'linear']);
  return fromFirstStep(who, [lr, { swaLr, annealSteps, anneal }], (step) => {
    const x = annealSteps === 0 ? 1 : Math.min((step - 1) / annealSteps, 1);
    return interpolate(lr, swaLr, anneal === 'cos' ? cosineRise(x) : x);
  });
}
