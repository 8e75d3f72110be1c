import { serialization } from '@tensorflow/tfjs-core';
import { checkNumber } from '../../check/options.js';
import { TfAdadelta } from '../formulas/adadelta.js';
import { TfAdagrad } from '../formulas/adagrad.js';
import { TfAdam } from '../formulas/adam.js';
import { TfAdamax } from '../formulas/adamax.js';
import { TfRmsprop } from '../formulas/rmsprop.js';
import { TfMomentum, TfSgd, tfMomentum } from '../formulas/sgd.js';
import { type Epsilon, type Rate, type Signature, signatures } from './signatures.js';
import { TrainOptimizer, type TrainOptions } from './train-optimizer.js';

/** `tf.SGDOptimizer` on schuss's kernels; see {@link sgd}. */
export class SGDOptimizer extends TrainOptimizer<typeof TfSgd> {
  static readonly className: string = 'SchussSGDOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.sgd;

  constructor(learningRate: Rate, options: TrainOptions = {}) {
    super(TfSgd, [learningRate], options);
  }
}

/** `tf.MomentumOptimizer` on schuss's kernels; see {@link momentum}. */
export class MomentumOptimizer extends TrainOptimizer<typeof TfMomentum> {
  static readonly className: string = 'SchussMomentumOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.momentum;
  // TensorFlow.js's names, defined below.
  declare momentum: number;
  declare useNesterov: boolean;

  constructor(learningRate: Rate, momentum: number, useNesterov = false, options: TrainOptions = {}) {
    super(TfMomentum, [learningRate, momentum, useNesterov], options);
    this.placeholders.add('m', []); // TensorFlow.js keeps the momentum in a tensor
  }

  /** Sets the momentum, from the next step on. (In TensorFlow.js, setting it has no effect.) */
  setMomentum(momentum: number): void {
    this.setOption('momentum', checkNumber(tfMomentum.name, 'momentum', momentum));
  }
}

/** `tf.AdagradOptimizer` on schuss's kernels; see {@link adagrad}. */
export class AdagradOptimizer extends TrainOptimizer<typeof TfAdagrad> {
  static readonly className: string = 'SchussAdagradOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.adagrad;

  constructor(learningRate: Rate, initialAccumulatorValue = 0.1, options: TrainOptions = {}) {
    super(TfAdagrad, [learningRate, initialAccumulatorValue], options);
  }
}

/** `tf.AdadeltaOptimizer` on schuss's kernels; see {@link adadelta}. */
export class AdadeltaOptimizer extends TrainOptimizer<typeof TfAdadelta> {
  static readonly className: string = 'SchussAdadeltaOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.adadelta;
  // TensorFlow.js's names, defined below.
  declare rho: number;
  declare epsilon: number;

  constructor(learningRate: Rate = 1e-3, rho = 0.95, epsilon?: Epsilon, options: TrainOptions = {}) {
    super(TfAdadelta, [learningRate, rho, epsilon], options);
  }
}

/** `tf.AdamOptimizer` on schuss's kernels; see {@link adam}. */
export class AdamOptimizer extends TrainOptimizer<typeof TfAdam> {
  static readonly className: string = 'SchussAdamOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.adam;
  // TensorFlow.js's names, defined below.
  declare beta1: number;
  declare beta2: number;
  declare epsilon: number;

  constructor(learningRate: Rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon?: Epsilon, options: TrainOptions = {}) {
    super(TfAdam, [learningRate, beta1, beta2, epsilon], options);
  }
}

/** `tf.AdamaxOptimizer` on schuss's kernels; see {@link adamax}. */
export class AdamaxOptimizer extends TrainOptimizer<typeof TfAdamax> {
  static readonly className: string = 'SchussAdamaxOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.adamax;
  // TensorFlow.js's names, defined below.
  declare beta1: number;
  declare beta2: number;
  declare epsilon: number;
  declare decay: number;

  constructor(
    learningRate: Rate = 2e-3,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon?: Epsilon,
    decay = 0,
    options: TrainOptions = {},
  ) {
    super(TfAdamax, [learningRate, beta1, beta2, epsilon, decay], options);
  }
}

/** `tf.RMSPropOptimizer` on schuss's kernels; see {@link rmsprop}. */
export class RMSPropOptimizer extends TrainOptimizer<typeof TfRmsprop> {
  static readonly className: string = 'SchussRMSPropOptimizer';
  /** @internal */
  static override readonly signature: Signature = signatures.rmsprop;
  // TensorFlow.js's names, defined below.
  declare decay: number;
  declare momentum: number;
  declare epsilon: number;
  declare centered: boolean;

  constructor(
    learningRate: Rate,
    decay = 0.9,
    momentum = 0,
    epsilon?: Epsilon,
    centered = false,
    options: TrainOptions = {},
  ) {
    super(TfRmsprop, [learningRate, decay, momentum, epsilon, centered], options);
  }

  protected override get suffixes(): Readonly<Record<string, string>> {
    const { gradAvg, ...uncentered } = signatures.rmsprop.weights;
    return this.resolvedOptions()['centered'] === true ? { ...uncentered, gradAvg } : uncentered;
  }
}

/** The classes, keyed by the names of their counterparts in TensorFlow.js. @internal */
export const standardClasses = {
  SGD: SGDOptimizer,
  Momentum: MomentumOptimizer,
  Adagrad: AdagradOptimizer,
  Adadelta: AdadeltaOptimizer,
  Adam: AdamOptimizer,
  Adamax: AdamaxOptimizer,
  RMSProp: RMSPropOptimizer,
};

for (const Class of Object.values(standardClasses)) {
  serialization.registerClass(Class as never, 'schuss');
  const [, ...others] = Class.signature.arguments; // learningRate is a member of all
  for (const [name] of others)
    Object.defineProperty(Class.prototype, name, {
      get(this: TrainOptimizer) {
        return TrainOptimizer.readArgument(this, name);
      },
      set(this: TrainOptimizer, value: unknown) {
        TrainOptimizer.writeArgument(this, name, value);
      },
      configurable: true,
    });
}
