import { backend, serialization } from '@tensorflow/tfjs-core';
import { rangeError, typeError } from '../check/errors.js';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../check/options.js';
import type { commonHyperParameters, Declaration, OptionsFrom, optimizerHyperParameters } from '../core/declaration.js';
import type { Schedule } from '../core/schedule.js';
import type { ParamStateDict } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import { TfAdadelta, tfAdadelta } from './formulas/adadelta.js';
import { TfAdagrad, tfAdagrad } from './formulas/adagrad.js';
import { TfAdam, tfAdam } from './formulas/adam.js';
import { TfAdamax, tfAdamax } from './formulas/adamax.js';
import { TfRmsprop, tfRmsprop } from './formulas/rmsprop.js';
import { TfMomentum, TfSgd, tfMomentum, tfSgd } from './formulas/sgd.js';
import { StandIns } from './stand-ins.js';
import { type NamedTensor, type OptimizerClass, type States, WrappedOptimizer } from './wrap.js';

/** What schuss has beyond TensorFlow.js: the last argument of each factory. */
export interface TrainOptions
  extends Omit<OptionsFrom<typeof commonHyperParameters & typeof optimizerHyperParameters>, 'zeroGrads'> {
  /** L2 penalty: weightDecay · w is added to each gradient. Default 0. */
  readonly weightDecay?: number | Schedule | undefined;
}

/** @inline */
type Rate = number | Schedule;
/**
 * Null or left out: the backend's, 1e-7 where it computes in float32.
 *
 * @inline
 */
type Epsilon = number | null | undefined;

const beyond = [
  ...['weightDecay', 'maximize', 'clipValue', 'clipNorm', 'skipNonFinite'],
  ...['ema', 'gradNorm', 'flushDenormals'],
];

/** An argument of a factory: its name, the option that it is, and where a pair of options holds it. */
type Argument = readonly [name: string, option: string, index?: number];

const rate: Argument = ['learningRate', 'lr'];
const epsilon: Argument = ['epsilon', 'eps'];
const betas: readonly Argument[] = [
  ['beta1', 'betas', 0],
  ['beta2', 'betas', 1],
];

/** What TensorFlow.js has for a class of schuss. */
interface Twin {
  readonly declaration: Declaration;
  /** The arguments of its constructor, in their order. */
  readonly arguments: readonly Argument[];
  /** Its names for the state arrays, in the order of its weights. */
  readonly weights: Readonly<Record<string, string>>;
}

/** The options that the arguments of a constructor are, checked under the names of those. */
function optionsOf({ declaration, arguments: known }: Twin, given: readonly unknown[], more: object): object {
  const { name: who, hyperParameters } = declaration;
  checkOptions(who, more, beyond);
  // Adagrad has it without being given it.
  const options: Record<string, unknown> = { ...('eps' in hyperParameters && { eps: backend().epsilon() }), ...more };
  for (const [i, [name, option, index]] of known.entries()) {
    const value = option === 'eps' ? (given[i] ?? options['eps']) : given[i];
    const hyperParameter = hyperParameters[option]!;
    if (value === undefined) {
      // TensorFlow.js's words, in its one check.
      const hint = option === 'lr' && who === 'RMSPropOptimizer' ? `${name} for ${who} must be defined.` : undefined;
      throw typeError(who, name, 'undefined', 'a number', hint);
    }
    if (hyperParameter.default === false) checkBoolean(who, name, value);
    else if (option !== 'lr' || typeof value !== 'function') checkNumber(who, name, value, hyperParameter.range);
    if (index === undefined) options[option] = value;
    else options[option] = [...((options[option] as unknown[] | undefined) ?? []), value];
  }
  return options;
}

/** TensorFlow.js's names for the classes, while {@link isStandard} says so. */
const standardNames: Readonly<Record<string, string>> = {
  SGDOptimizer: 'SGD',
  MomentumOptimizer: 'Momentum',
  AdagradOptimizer: 'Adagrad',
  AdadeltaOptimizer: 'Adadelta',
  AdamOptimizer: 'Adam',
  AdamaxOptimizer: 'Adamax',
  RMSPropOptimizer: 'RMSProp',
};

let isStandard = false;

/** Saves models from now on under TensorFlow.js's names for the optimizers, or under our own. */
export function useStandardNames(yes: boolean): void {
  isStandard = yes;
}

/** One of `tf.train`'s optimizers, on schuss's kernels: what the factories of `schuss/tfjs` return. */
export abstract class TrainOptimizer<C extends OptimizerClass = OptimizerClass> extends WrappedOptimizer<C> {
  /** @internal */
  static readonly twin: Twin;
  readonly #more: object;
  /** @internal */
  protected readonly standIns = new StandIns();

  protected constructor(Class: C, given: readonly unknown[], more: object) {
    super(Class, optionsOf(new.target.twin, given, more));
    this.#more = more;
  }

  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const { twin } = cls as unknown as typeof TrainOptimizer;
    return new cls(...twin.arguments.map(([name]) => config[name]), config['options']);
  }

  get #twin(): Twin {
    return (this.constructor as typeof TrainOptimizer).twin;
  }

  get #name(): string {
    return this.#twin.declaration.name;
  }

  /** `SchussAdamOptimizer`; `Adam`, as TensorFlow.js has it, while it is patched: what a saved model names. */
  override getClassName(): string {
    return isStandard ? (standardNames[this.#name] as string) : super.getClassName();
  }

  /** The learning rate of the next step; may be set at any time, to a Schedule too. */
  override get learningRate(): number {
    return super.learningRate;
  }

  override set learningRate(value: Rate) {
    if (typeof value !== 'function') checkNumber(this.#name, 'learningRate', value);
    super.learningRate = value;
  }

  /** Sets the learning rate, as assigning `learningRate` does. */
  setLearningRate(learningRate: Rate): void {
    this.learningRate = learningRate;
  }

  /** TensorFlow.js's names for the state arrays that there are, in the order of its weights. */
  protected get suffixes(): Readonly<Record<string, string>> {
    return this.#twin.weights;
  }

  /** Steps count without gradients, too: t is `iterations`, as in TensorFlow.js. */
  protected override stepOfNothing(): StepResult {
    return this.countStepOfNothing();
  }

  protected override tookIn(names: readonly string[]): void {
    for (const name of names) {
      const shape = this.shapeOf(name);
      for (const suffix of Object.values(this.suffixes)) this.standIns.add(`${name}/${suffix}`, shape);
    }
  }

  /** TensorFlow.js fills up what a list of weights lacks. */
  protected override filled(loaded: ParamStateDict, now: ParamStateDict): ParamStateDict {
    return { ...now, ...loaded };
  }

  /** As those of `tf.train`: `iter`, then for each state array that of each variable: `<variable>/m`, …, `<variable>/v`, …. */
  override async getWeights(): Promise<NamedTensor[]> {
    const weights = [this.countAsWeight()];
    const states = this.states();
    for (const [field, suffix] of Object.entries(this.suffixes)) {
      for (const [variable, state] of states) {
        const array = state[field];
        if (!(array instanceof Float32Array)) continue;
        const name = `${variable}/${suffix}`;
        this.standIns.drop(name);
        weights.push(this.asWeight(name, variable, array));
      }
    }
    return weights;
  }

  /**
   * Takes over what getWeights gave, ours or that of `tf.train`'s twin; may come before the first step. Arrays are told
   * apart by their names' endings or, if one is unknown, by position, as TensorFlow.js does. They are matched to variables
   * by name, or by position if no name is known.
   *
   * @throws TypeError, RangeError for a list that does not fit; nothing has changed then
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const [count, ...others] = weights;
    const who = this.#name;
    if (count === undefined) throw typeError(who, 'weights', 'an empty list', '"iter" first');
    if (count.tensor.size !== 1)
      throw rangeError(who, 'weights[0]', `shape [${count.tensor.shape}]`, '"iter", which is one number');
    const stepCount = checkInteger(who, 'iter', (await count.tensor.data())[0], '[0, inf)');
    const fields = Object.entries(this.suffixes);
    if (fields.length === 0 && others.length > 0)
      throw typeError(who, 'weights', `${others.length} beside "iter"`, 'none: it has no state');
    const cut = (name: string): number => name.lastIndexOf('/');
    const endsWith = (name: string, suffix: string): boolean => name.slice(cut(name) + 1) === suffix;
    const isKnown = others.every(({ name }) => fields.some(([, suffix]) => endsWith(name, suffix)));
    const perField = others.length / fields.length;
    const states = new Map<string, Record<string, number | Float32Array>>();
    for (const [f, [field, suffix]] of fields.entries()) {
      const part = isKnown
        ? others.filter(({ name }) => endsWith(name, suffix))
        : others.slice(perField * f, perField * (f + 1));
      for (const [i, { name, tensor }] of part.entries()) {
        if (tensor.dtype !== 'float32')
          throw typeError(who, `weights[${JSON.stringify(name)}]`, `a tensor of ${tensor.dtype}`, 'one of float32');
        // By position, what is of one variable need not say so: the first array does.
        const title = isKnown ? name : (others[i] as NamedTensor).name;
        const variable = title.includes('/') ? title.slice(0, cut(title)) : title;
        if (!states.has(variable)) states.set(variable, { step: stepCount });
        (states.get(variable) as Record<string, unknown>)[field] = Float32Array.from(await tensor.data());
      }
    }
    this.takeOver(states as States, stepCount);
  }

  /** TensorFlow.js's arguments, and `options` if there are others. */
  override getConfig(): serialization.ConfigDict {
    const now = this.optionsNow();
    const known = this.#twin.arguments.map(([name, option, index]) => {
      const value = now[option];
      return [name, index === undefined ? value : (value as unknown[])[index]];
    });
    const more = Object.keys(this.#more).filter((name) => now[name] !== undefined);
    if (more.length > 0) known.push(['options', Object.fromEntries(more.map((name) => [name, now[name]]))]);
    return Object.fromEntries(known) as serialization.ConfigDict;
  }

  /** Lets the state go, and all tensors. Variables stay. Twice is fine. */
  override dispose(): void {
    super.dispose();
    this.standIns.dispose();
  }
}

const twins = {
  sgd: { declaration: tfSgd, arguments: [rate], weights: {} },
  momentum: {
    declaration: tfMomentum,
    arguments: [rate, ['momentum', 'momentum'], ['useNesterov', 'nesterov']],
    weights: { momentumBuffer: 'momentum' },
  },
  adagrad: {
    declaration: tfAdagrad,
    arguments: [rate, ['initialAccumulatorValue', 'initialAccumulatorValue']],
    weights: { sum: 'accumulator' },
  },
  adadelta: {
    declaration: tfAdadelta,
    arguments: [rate, ['rho', 'rho'], epsilon],
    weights: { squareAvg: 'accum_grad', accDelta: 'accum_var' },
  },
  adam: { declaration: tfAdam, arguments: [rate, ...betas, epsilon], weights: { expAvg: 'm', expAvgSq: 'v' } },
  adamax: {
    declaration: tfAdamax,
    arguments: [rate, ...betas, epsilon, ['decay', 'lrDecay']],
    weights: { expAvg: 'm', expInf: 'v' },
  },
  rmsprop: {
    declaration: tfRmsprop,
    arguments: [rate, ['decay', 'alpha'], ['momentum', 'momentum'], epsilon, ['centered', 'centered']],
    weights: { squareAvg: 'rms', momentumBuffer: 'momentum', gradAvg: 'mg' },
  },
} as const satisfies Record<string, Twin>;

/** `tf.SGDOptimizer` on schuss's kernels; see {@link sgd}. */
export class SGDOptimizer extends TrainOptimizer<typeof TfSgd> {
  static readonly className: string = 'SchussSGDOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.sgd;

  constructor(learningRate: Rate, options: TrainOptions = {}) {
    super(TfSgd, [learningRate], options);
  }
}

/** `tf.MomentumOptimizer` on schuss's kernels; see {@link momentum}. */
export class MomentumOptimizer extends TrainOptimizer<typeof TfMomentum> {
  static readonly className: string = 'SchussMomentumOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.momentum;

  constructor(learningRate: Rate, momentum: number, useNesterov = false, options: TrainOptions = {}) {
    super(TfMomentum, [learningRate, momentum, useNesterov], options);
    this.standIns.add('m', []); // TensorFlow.js has the momentum as a tensor
  }

  /** Sets the momentum from the next step on. (In TensorFlow.js this has no effect.) */
  setMomentum(momentum: number): void {
    this.setOption('momentum', checkNumber(tfMomentum.name, 'momentum', momentum));
  }
}

/** `tf.AdagradOptimizer` on schuss's kernels; see {@link adagrad}. */
export class AdagradOptimizer extends TrainOptimizer<typeof TfAdagrad> {
  static readonly className: string = 'SchussAdagradOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.adagrad;

  constructor(learningRate: Rate, initialAccumulatorValue = 0.1, options: TrainOptions = {}) {
    super(TfAdagrad, [learningRate, initialAccumulatorValue], options);
  }
}

/** `tf.AdadeltaOptimizer` on schuss's kernels; see {@link adadelta}. */
export class AdadeltaOptimizer extends TrainOptimizer<typeof TfAdadelta> {
  static readonly className: string = 'SchussAdadeltaOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.adadelta;

  constructor(learningRate: Rate = 1e-3, rho = 0.95, epsilon?: Epsilon, options: TrainOptions = {}) {
    super(TfAdadelta, [learningRate, rho, epsilon], options);
  }
}

/** `tf.AdamOptimizer` on schuss's kernels; see {@link adam}. */
export class AdamOptimizer extends TrainOptimizer<typeof TfAdam> {
  static readonly className: string = 'SchussAdamOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.adam;

  constructor(learningRate: Rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon?: Epsilon, options: TrainOptions = {}) {
    super(TfAdam, [learningRate, beta1, beta2, epsilon], options);
  }
}

/** `tf.AdamaxOptimizer` on schuss's kernels; see {@link adamax}. */
export class AdamaxOptimizer extends TrainOptimizer<typeof TfAdamax> {
  static readonly className: string = 'SchussAdamaxOptimizer';
  /** @internal */
  static override readonly twin: Twin = twins.adamax;

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
  static override readonly twin: Twin = twins.rmsprop;

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
    const { gradAvg, ...plain } = twins.rmsprop.weights;
    return this.optionsNow()['centered'] === true ? { ...plain, gradAvg } : plain;
  }
}

/** Our classes by TensorFlow.js's names for theirs. @internal */
export const standardClasses = {
  SGD: SGDOptimizer,
  Momentum: MomentumOptimizer,
  Adagrad: AdagradOptimizer,
  Adadelta: AdadeltaOptimizer,
  Adam: AdamOptimizer,
  Adamax: AdamaxOptimizer,
  RMSProp: RMSPropOptimizer,
};

for (const Class of Object.values(standardClasses)) serialization.registerClass(Class as never, 'schuss');

/**
 * Stochastic gradient descent as `tf.train.sgd` has it, on schuss's kernels.
 *
 * ```
 * w ← w − η·g
 * ```
 * The same bits as `tf.train.sgd` on the cpu backend.
 *
 * @param learningRate η: a number, or a Schedule of the step.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
 * @throws TypeError for a wrong type or an unknown option, RangeError for a value out of range
 */
export function sgd(learningRate: number | Schedule, options: TrainOptions = {}): SGDOptimizer {
  return new SGDOptimizer(learningRate, options);
}

/**
 * Gradient descent with momentum as `tf.train.momentum` has it, on schuss's kernels.
 *
 * ```
 * b ← μ·b + g;  w ← w − η·b
 * Nesterov: w ← w − η·(g + μ·b)
 * ```
 * The same bits as `tf.train.momentum` on the cpu backend.
 *
 * @param learningRate η: a number, or a Schedule of the step.
 * @param momentum μ.
 * @param useNesterov Default false.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
 * AdaGrad as `tf.train.adagrad` has it, on schuss's kernels.
 *
 * ```
 * s ← s + g²;  w ← w − η·g / √(s + ε)
 * ```
 * ε is the backend's, 1e-7 in float32. The same bits as `tf.train.adagrad` on the cpu backend.
 *
 * @param learningRate η: a number, or a Schedule of the step.
 * @param initialAccumulatorValue What s starts at, [0, ∞). Default 0.1.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
 * AdaDelta as `tf.train.adadelta` has it, on schuss's kernels.
 *
 * ```
 * Δ ← g·√(u + ε) / √(s + ε);  s ← ρ·s + (1−ρ)·g²
 * u ← ρ·u + (1−ρ)·Δ²;  w ← w − η·Δ
 * ```
 * The step is divided by s as it was before this gradient. From a start at 0, u and s then are the same number, but for
 * rounding, and Δ is g: TensorFlow.js's AdaDelta is gradient descent. `wrap(Adadelta)` is Zeiler's. The same bits as
 * `tf.train.adadelta` on the cpu backend.
 *
 * @param learningRate η: a number, or a Schedule of the step. Default 1e-3.
 * @param rho ρ, [0, 1]. Default 0.95.
 * @param epsilon ε, (0, ∞). Default the backend's, 1e-7 in float32.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
 * Adam as `tf.train.adam` has it, on schuss's kernels.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·g²
 * w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
 * ```
 * t is `iterations`. TensorFlow.js computes β₂ᵗ in float32, which makes its first steps wrong by up to 1e-5 of their size; here
 * it is float64.
 *
 * @param learningRate η: a number, or a Schedule of the step. Default 1e-3.
 * @param beta1 β₁, [0, 1). Default 0.9.
 * @param beta2 β₂, [0, 1). Default 0.999.
 * @param epsilon ε, [0, ∞). Default the backend's, 1e-7 in float32.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
 * AdaMax as `tf.train.adamax` has it, on schuss's kernels.
 *
 * ```
 * m ← β₁·m + (1−β₁)·g;  u ← max(β₂·u, |g|)
 * w ← w − η/(1 + (t−1)·decay)/(1−β₁ᵗ) · m / (u + ε)
 * ```
 * t is `iterations`. Its state can be saved, which TensorFlow.js refuses.
 *
 * @param learningRate η: a number, or a Schedule of the step. Default 2e-3.
 * @param beta1 β₁, [0, 1). Default 0.9.
 * @param beta2 β₂, [0, 1). Default 0.999.
 * @param epsilon ε, [0, ∞). Default the backend's, 1e-7 in float32.
 * @param decay Lowers η with the steps, [0, ∞). Default 0.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
 * RMSProp as `tf.train.rmsprop` has it, on schuss's kernels.
 *
 * ```
 * s ← ρ·s + (1−ρ)·g²;  b ← μ·b + η·g / √(s + ε);  w ← w − b
 * centered: a ← ρ·a + (1−ρ)·g;  √(s − a² − ε) for √(s + ε)
 * ```
 * Centered is TensorFlow.js's to the letter: NaN where the variance is less than ε, as for an element without gradient;
 * `wrap(RMSprop, { centered: true })` has no such case. The same bits as `tf.train.rmsprop` on the cpu backend.
 *
 * @param learningRate η: a number, or a Schedule of the step.
 * @param decay ρ, [0, 1]. Default 0.9.
 * @param momentum μ. Default 0.
 * @param epsilon ε, [0, ∞). Default the backend's, 1e-7 in float32.
 * @param centered Default false.
 * @param options What TensorFlow.js lacks: `weightDecay` (L2), `clipNorm`, `clipValue`, `maximize`, `skipNonFinite`, `ema`, ….
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
