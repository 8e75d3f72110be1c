import { show, typeError } from '../../check/errors.js';
import { withhold } from '../../core/option-members.js';
import type { Schedule } from '../../core/schedule.js';
import {
  Adafactor,
  Adam,
  AdamW,
  AdEMAMix,
  ASGD,
  FTRL,
  LAMB,
  LARS,
  Lion,
  Muon,
  NAdam,
  RAdam,
  Rprop,
  Shampoo,
  SOAP,
} from '../../optimizers/index.js';
import { wrap } from './wrap.js';
import type { OptimizerClass, WrapOptions, WrappedOptimizer } from './wrapped-optimizer.js';

/** The options of a class except `lr`, which is the first argument, and `zeroGrads`. */
export type OptionsBesideRate<C extends OptimizerClass> = Omit<WrapOptions<C>, 'lr'>;

function wrapped<C extends OptimizerClass>(
  Class: C,
  lr: number | Schedule | undefined,
  options: object,
  fixed = {},
): WrappedOptimizer<C> {
  const who = Class.optimizerName;
  if (typeof options !== 'object' || options === null) throw typeError(who, 'options', show(options), 'an object');
  for (const name of ['lr', 'learningRate', 'learning_rate'])
    if (name in options) throw typeError(who, name, 'an option', 'the first argument, learningRate');
  if (typeof lr === 'object')
    throw typeError(who, 'learningRate', show(lr), 'a number or a Schedule', 'options are the last argument, after it');
  const all = { ...options, ...(lr === undefined ? {} : { lr }), ...fixed };
  return wrap(Class, withhold(all, ['lr', ...Object.keys(fixed)]) as WrapOptions<C>);
}

/**
 * AdamW: Adam with decoupled weight decay. Short for {@link wrap} of `AdamW`, with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `weightDecay` (1e-2), `betas` ([0.9, 0.999]), `eps` (1e-8), `amsgrad`, and the options common to all
 *   classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 * @example
 * ```ts
 * import '@tensorflow/tfjs-backend-cpu';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { cosine } from 'schuss';
 * import { adamW } from 'schuss/tfjs';
 * const x = tf.variable(tf.tensor([1, 2]));
 * const optimizer = adamW(cosine(1e-2, { steps: 100 }), { weightDecay: 0.1, clipNorm: 1 });
 * optimizer.minimize(() => tf.sum(tf.square(x)));
 * ```
 */
export function adamW(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof AdamW> = {},
): WrappedOptimizer<typeof AdamW> {
  return wrapped(AdamW, learningRate, options);
}

/**
 * AMSGrad: Adam with a denominator that never shrinks. Short for {@link wrap} of `Adam`, with schuss's formula and
 * defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `weightDecay`, and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function amsgrad(
  learningRate?: number | Schedule,
  options: Omit<OptionsBesideRate<typeof Adam>, 'amsgrad'> = {},
): WrappedOptimizer<typeof Adam> {
  return wrapped(Adam, learningRate, options, { amsgrad: true });
}

/**
 * NAdam: Adam with Nesterov momentum. Short for {@link wrap} of `NAdam`, with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 2e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `momentumDecay` (4e-3), `weightDecay`, `decoupledWeightDecay`,
 *   and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function nadam(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof NAdam> = {},
): WrappedOptimizer<typeof NAdam> {
  return wrapped(NAdam, learningRate, options);
}

/**
 * RAdam: Adam with a built-in warm-up. Short for {@link wrap} of `RAdam`, with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `weightDecay`, `decoupledWeightDecay`, and the options common to
 *   all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function radam(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof RAdam> = {},
): WrappedOptimizer<typeof RAdam> {
  return wrapped(RAdam, learningRate, options);
}

/**
 * Lion: steps by the sign of a moving average of the gradients. Short for {@link wrap} of `Lion`, with schuss's
 * formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-4.
 * @param options `betas` ([0.9, 0.99]), `weightDecay` (0, decoupled), and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lion(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Lion> = {},
): WrappedOptimizer<typeof Lion> {
  return wrapped(Lion, learningRate, options);
}

/**
 * Muon: orthogonal updates of kernels and filters, AdamW for all other variables. Short for {@link wrap} of `Muon`, with
 * schuss's formula and defaults, except that `outputs` is 'columns'.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `momentum` (0.95), `weightDecay` (0.1), `adjustLrFn`, `adamLr`, and all other options of the class.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function muon(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Muon> = {},
): WrappedOptimizer<typeof Muon> {
  return wrapped(Muon, learningRate, options);
}

/**
 * Shampoo: kernels and filters are preconditioned on both sides. Short for {@link wrap} of `Shampoo`, with schuss's formula
 * and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-2.
 * @param options `betas` ([0.9, 1]), `eps`, `grafting`, `preconditionFrequency`, and all other options of the class.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function shampoo(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Shampoo> = {},
): WrappedOptimizer<typeof Shampoo> {
  return wrapped(Shampoo, learningRate, options);
}

/**
 * SOAP: Adam in the eigenbasis of Shampoo's factors. Short for {@link wrap} of `SOAP`, with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 3e-3.
 * @param options `betas` ([0.95, 0.95]), `weightDecay` (0.01), `preconditionFrequency`, and all other options of the class.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function soap(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof SOAP> = {},
): WrappedOptimizer<typeof SOAP> {
  return wrapped(SOAP, learningRate, options);
}

/**
 * LAMB: Adam with a trust ratio for each variable, for large batches. Short for {@link wrap} of `LAMB`, with
 * schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-6), `weightDecay`, `clamp`, `biasCorrection`, and the options common
 *   to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lamb(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof LAMB> = {},
): WrappedOptimizer<typeof LAMB> {
  return wrapped(LAMB, learningRate, options);
}

/**
 * LARS: momentum SGD with a trust ratio for each variable, for large batches. Short for {@link wrap} of `LARS`, with
 * schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule.
 * @param options `momentum` (0.9), `trustCoefficient` (1e-3), `weightDecay`, and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lars(
  learningRate: number | Schedule,
  options: OptionsBesideRate<typeof LARS> = {},
): WrappedOptimizer<typeof LARS> {
  return wrapped(LARS, learningRate, options);
}

/**
 * Adafactor: keeps one number per row and per column instead of one per element. Short for {@link wrap} of `Adafactor`,
 * with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default: its relative step.
 * @param options `beta1`, `clipThreshold` (1), `decayRate` (−0.8), `scaleParameter`, `weightDecay`, and the options
 *   common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function adafactor(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Adafactor> = {},
): WrappedOptimizer<typeof Adafactor> {
  return wrapped(Adafactor, learningRate, options);
}

/**
 * AdEMAMix: Adam with a second, slow moving average. Short for {@link wrap} of `AdEMAMix`, with schuss's formula and
 * defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999, 0.9999]), `alpha` (5), `alphaSteps`, `beta3Steps`, `eps` (1e-8), `weightDecay`,
 *   and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function adEMAMix(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof AdEMAMix> = {},
): WrappedOptimizer<typeof AdEMAMix> {
  return wrapped(AdEMAMix, learningRate, options);
}

/**
 * FTRL-Proximal: sparse weights through an L1 penalty. Short for {@link wrap} of `FTRL`, with schuss's formula and
 * defaults.
 *
 * @param learningRate A number or a Schedule; default 0.05.
 * @param options `l1` (0), `l2` (0), `beta` (1), `initialAccumulatorValue` (0.1), and the options common to all
 *   classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function ftrl(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof FTRL> = {},
): WrappedOptimizer<typeof FTRL> {
  return wrapped(FTRL, learningRate, options);
}

/**
 * Averaged SGD. Short for {@link wrap} of `ASGD`, with schuss's formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-2.
 * @param options `lambd` (1e-4), `alpha` (0.75), `t0` (1e6), `weightDecay`, and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function asgd(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof ASGD> = {},
): WrappedOptimizer<typeof ASGD> {
  return wrapped(ASGD, learningRate, options);
}

/**
 * Rprop: steps by the signs of the gradients, for full batches. Short for {@link wrap} of `Rprop`, with schuss's
 * formula and defaults.
 *
 * @param learningRate A number or a Schedule; default 1e-2.
 * @param options `etas` ([0.5, 1.2]), `stepSizes` ([1e-6, 50]), and the options common to all classes.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function rprop(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Rprop> = {},
): WrappedOptimizer<typeof Rprop> {
  return wrapped(Rprop, learningRate, options);
}
