import { show, typeError } from '../check/errors.js';
import type { Schedule } from '../core/schedule.js';
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
  NAdam,
  RAdam,
  Rprop,
} from '../optimizers/index.js';
import { type OptimizerClass, type WrapOptions, type WrappedOptimizer, wrap } from './wrap.js';

/** The options of a class but for `lr`, which comes before them, and `zeroGrads`. */
export type OptionsBesideRate<C extends OptimizerClass> = Omit<WrapOptions<C>, 'lr'>;

type Rate = number | Schedule | undefined;

function wrapped<C extends OptimizerClass>(Class: C, lr: Rate, options: object, more = {}): WrappedOptimizer<C> {
  const who = Class.optimizerName;
  if (typeof options !== 'object' || options === null) throw typeError(who, 'options', show(options), 'an object');
  if ('lr' in options) throw typeError(who, 'lr', 'an option', 'the first argument, learningRate');
  return wrap(Class, { ...options, ...(lr === undefined ? {} : { lr }), ...more } as WrapOptions<C>);
}

/**
 * AdamW: Adam with weight decay beside the gradient. The formula and the defaults are those of schuss's `AdamW`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `weightDecay` (1e-2), `betas` ([0.9, 0.999]), `eps` (1e-8), `amsgrad`, and what all classes take.
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
 * AMSGrad: Adam whose denominator never shrinks. The formula and the defaults are those of schuss's `Adam`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `weightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function amsgrad(
  learningRate?: number | Schedule,
  options: Omit<OptionsBesideRate<typeof Adam>, 'amsgrad'> = {},
): WrappedOptimizer<typeof Adam> {
  return wrapped(Adam, learningRate, options, { amsgrad: true });
}

/**
 * NAdam: Adam with Nesterov momentum. The formula and the defaults are those of schuss's `NAdam`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 2e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `momentumDecay` (4e-3), `weightDecay`, `decoupledWeightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function nadam(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof NAdam> = {},
): WrappedOptimizer<typeof NAdam> {
  return wrapped(NAdam, learningRate, options);
}

/**
 * RAdam: Adam that warms up by itself. The formula and the defaults are those of schuss's `RAdam`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-8), `weightDecay`, `decoupledWeightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function radam(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof RAdam> = {},
): WrappedOptimizer<typeof RAdam> {
  return wrapped(RAdam, learningRate, options);
}

/**
 * Lion: steps by the sign of an average of gradients. The formula and the defaults are those of schuss's `Lion`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-4.
 * @param options `betas` ([0.9, 0.99]), `weightDecay` (0, decoupled), and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lion(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Lion> = {},
): WrappedOptimizer<typeof Lion> {
  return wrapped(Lion, learningRate, options);
}

/**
 * LAMB: Adam with a trust ratio for each variable, for large batches. The formula and the defaults are those of schuss's `LAMB`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999]), `eps` (1e-6), `weightDecay`, `clamp`, `biasCorrection`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lamb(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof LAMB> = {},
): WrappedOptimizer<typeof LAMB> {
  return wrapped(LAMB, learningRate, options);
}

/**
 * LARS: momentum with a trust ratio for each variable, for large batches. The formula and the defaults are those of schuss's `LARS`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule.
 * @param options `momentum` (0.9), `trustCoefficient` (1e-3), `weightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function lars(
  learningRate: number | Schedule,
  options: OptionsBesideRate<typeof LARS> = {},
): WrappedOptimizer<typeof LARS> {
  return wrapped(LARS, learningRate, options);
}

/**
 * Adafactor: keeps a number a row and a column, not an element. The formula and the defaults are those of schuss's `Adafactor`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default its own.
 * @param options `beta1`, `clipThreshold` (1), `decayRate` (−0.8), `scaleParameter`, `weightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function adafactor(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Adafactor> = {},
): WrappedOptimizer<typeof Adafactor> {
  return wrapped(Adafactor, learningRate, options);
}

/**
 * AdEMAMix: Adam with a second, slow average. The formula and the defaults are those of schuss's `AdEMAMix`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-3.
 * @param options `betas` ([0.9, 0.999, 0.9999]), `alpha` (5), `alphaSteps`, `beta3Steps`, `eps` (1e-8), `weightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function adEMAMix(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof AdEMAMix> = {},
): WrappedOptimizer<typeof AdEMAMix> {
  return wrapped(AdEMAMix, learningRate, options);
}

/**
 * FTRL-Proximal: sparse weights by an L1 penalty. The formula and the defaults are those of schuss's `FTRL`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 0.05.
 * @param options `l1` (0), `l2` (0), `beta` (1), `initialAccumulatorValue` (0.1), and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function ftrl(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof FTRL> = {},
): WrappedOptimizer<typeof FTRL> {
  return wrapped(FTRL, learningRate, options);
}

/**
 * Averaged SGD. The formula and the defaults are those of schuss's `ASGD`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-2.
 * @param options `lambd` (1e-4), `alpha` (0.75), `t0` (1e6), `weightDecay`, and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function asgd(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof ASGD> = {},
): WrappedOptimizer<typeof ASGD> {
  return wrapped(ASGD, learningRate, options);
}

/**
 * Rprop: steps by the signs of the gradients, for full batches. The formula and the defaults are those of schuss's `Rprop`: short for {@link wrap}.
 *
 * @param learningRate A number or a Schedule; default 1e-2.
 * @param options `etas` ([0.5, 1.2]), `stepSizes` ([1e-6, 50]), and what all classes take.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a value out of range
 */
export function rprop(
  learningRate?: number | Schedule,
  options: OptionsBesideRate<typeof Rprop> = {},
): WrappedOptimizer<typeof Rprop> {
  return wrapped(Rprop, learningRate, options);
}
