import type { Schedule } from '../../core/schedule.js';
import {
  AdadeltaOptimizer,
  AdagradOptimizer,
  AdamaxOptimizer,
  AdamOptimizer,
  MomentumOptimizer,
  RMSPropOptimizer,
  SGDOptimizer,
} from './classes.js';
import type { TrainOptions } from './train-optimizer.js';

/**
 * Stochastic gradient descent with the formula and arguments of `tf.train.sgd`, on schuss's kernels.
 *
 * ```
 * w ← w − η·g
 * ```
 * Gives the same bits as `tf.train.sgd` on the cpu backend.
 *
 * @param learningRate η: a number or a Schedule.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function sgd(learningRate: number | Schedule, options: TrainOptions = {}): SGDOptimizer {
  return new SGDOptimizer(learningRate, options);
}

/**
 * Momentum SGD with the formula and arguments of `tf.train.momentum`, on schuss's kernels.
 *
 * ```
 * b ← μ·b + g;  w ← w − η·b
 * Nesterov: w ← w − η·(g + μ·b)
 * ```
 * Gives the same bits as `tf.train.momentum` on the cpu backend.
 *
 * @param learningRate η: a number or a Schedule.
 * @param momentum μ.
 * @param useNesterov Default false.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function momentum(
  learningRate: number | Schedule,
  momentum: number,
  useNesterov = false,
  options: TrainOptions = {},
): MomentumOptimizer {
  return new MomentumOptimizer(learningRate, momentum, useNesterov, options);
}

/**
 * Adagrad with the formula and arguments of `tf.train.adagrad`, on schuss's kernels.
 *
 * ```
 * s ← s + g²;  w ← w − η·g / √(s + ε)
 * ```
 * ε is that of the backend, 1e-7 in float32. Gives the same bits as `tf.train.adagrad` on the cpu backend.
 *
 * @param learningRate η: a number or a Schedule.
 * @param initialAccumulatorValue Initial value of s, [0, ∞). Default 0.1.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function adagrad(
  learningRate: number | Schedule,
  initialAccumulatorValue = 0.1,
  options: TrainOptions = {},
): AdagradOptimizer {
  return new AdagradOptimizer(learningRate, initialAccumulatorValue, options);
}

/**
 * Adadelta with the formula and arguments of `tf.train.adadelta`, on schuss's kernels.
 *
 * ```
 * Δ ← g·√(u + ε) / √(s + ε);  s ← ρ·s + (1−ρ)·g²
 * u ← ρ·u + (1−ρ)·Δ²;  w ← w − η·Δ
 * ```
 * TensorFlow.js divides by s before it adds this gradient to s. Both u and s start at 0, so they stay equal except for
 * rounding, and Δ is g: the method is plain gradient descent. `wrap(Adadelta)` uses Zeiler's formula. Gives the same
 * bits as `tf.train.adadelta` on the cpu backend.
 *
 * @param learningRate η: a number or a Schedule. Default 1e-3.
 * @param rho ρ, [0, 1]. Default 0.95.
 * @param epsilon ε, (0, ∞). Default: that of the backend, 1e-7 in float32.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function adadelta(
  learningRate: number | Schedule = 1e-3,
  rho = 0.95,
  epsilon?: number | null,
  options: TrainOptions = {},
): AdadeltaOptimizer {
  return new AdadeltaOptimizer(learningRate, rho, epsilon, options);
}

/**
 * Adam with the formula and arguments of `tf.train.adam`, on schuss's kernels.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·g²
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
 * ```
 * t is `iterations`. TensorFlow.js computes β₂ᵗ in float32, which makes its first steps wrong by up to 1e-5 of their
 * size. Here β₂ᵗ is computed in float64.
 *
 * @param learningRate η: a number or a Schedule. Default 1e-3.
 * @param beta1 β₁, [0, 1). Default 0.9.
 * @param beta2 β₂, [0, 1). Default 0.999.
 * @param epsilon ε, [0, ∞). Default: that of the backend, 1e-7 in float32.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 * @example
 * ```ts
 * import '@tensorflow/tfjs-backend-cpu';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { adam } from 'schuss/tfjs';
 * const x = tf.variable(tf.tensor([1, 2]));
 * const optimizer = adam(0.1, 0.9, 0.999, null, { clipNorm: 1 });
 * for (let i = 0; i < 10; i++) optimizer.minimize(() => tf.sum(tf.square(x)));
 * console.log(optimizer.iterations, x.dataSync());
 * ```
 */
export function adam(
  learningRate: number | Schedule = 1e-3,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon?: number | null,
  options: TrainOptions = {},
): AdamOptimizer {
  return new AdamOptimizer(learningRate, beta1, beta2, epsilon, options);
}

/**
 * Adamax with the formula and arguments of `tf.train.adamax`, on schuss's kernels.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;  u ← max(β₂·u, |g|)
 * w ← w − η/(1 + (t−1)·decay)/(1−β₁ᵗ) · m / (u + ε)
 * ```
 * t is `iterations`. Its state can be saved; that of TensorFlow.js's cannot.
 *
 * @param learningRate η: a number or a Schedule. Default 2e-3.
 * @param beta1 β₁, [0, 1). Default 0.9.
 * @param beta2 β₂, [0, 1). Default 0.999.
 * @param epsilon ε, [0, ∞). Default: that of the backend, 1e-7 in float32.
 * @param decay Divides η by 1 + (t−1)·decay, [0, ∞). Default 0.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function adamax(
  learningRate: number | Schedule = 2e-3,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon?: number | null,
  decay = 0,
  options: TrainOptions = {},
): AdamaxOptimizer {
  return new AdamaxOptimizer(learningRate, beta1, beta2, epsilon, decay, options);
}

/**
 * RMSProp with the formula and arguments of `tf.train.rmsprop`, on schuss's kernels.
 *
 * ```
 * s ← ρ·s + (1−ρ)·g²;  b ← μ·b + η·g / √(s + ε);  w ← w − b
 * centered: a ← ρ·a + (1−ρ)·g;  √(s − a² − ε) for √(s + ε)
 * ```
 * `centered` follows TensorFlow.js exactly: the result is NaN where the variance is less than ε, as for an element
 * without gradient. `wrap(RMSprop, { centered: true })` avoids that. Gives the same bits as `tf.train.rmsprop` on the
 * cpu backend.
 *
 * @param learningRate η: a number or a Schedule.
 * @param decay ρ, [0, 1]. Default 0.9.
 * @param momentum μ. Default 0.
 * @param epsilon ε, [0, ∞). Default: that of the backend, 1e-7 in float32.
 * @param centered Default false.
 * @param options Options that TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`,
 *   `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function rmsprop(
  learningRate: number | Schedule,
  decay = 0.9,
  momentum = 0,
  epsilon?: number | null,
  centered = false,
  options: TrainOptions = {},
): RMSPropOptimizer {
  return new RMSPropOptimizer(learningRate, decay, momentum, epsilon, centered, options);
}
