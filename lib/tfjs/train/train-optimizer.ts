import type { serialization } from '@tensorflow/tfjs-core';
import { checkNumber } from '../../check/options.js';
import type { commonHyperParameters, OptionsFrom, optimizerHyperParameters } from '../../core/declaration.js';
import type { Schedule } from '../../core/schedule.js';
import type { ParamStateDict } from '../../core/state-dict.js';
import type { StepResult } from '../../core/stepper.js';
import { decodeExtras, withSchedules } from '../wrap/extras.js';
import type { NamedTensor } from '../wrap/weights.js';
import { type OptimizerClass, WrappedOptimizer } from '../wrap/wrapped-optimizer.js';
import { Placeholders } from './placeholders.js';
import {
  argumentsFrom,
  checkArgument,
  defaultOf,
  extraOptions,
  optionsFrom,
  type Rate,
  type Signature,
} from './signatures.js';
import { readTrainWeights } from './weights.js';

/** Options that TensorFlow.js lacks: the last argument of each factory. */
export interface TrainOptions
  extends Omit<
    OptionsFrom<typeof commonHyperParameters & typeof optimizerHyperParameters>,
    'zeroGrads' | 'stateDtype'
  > {
  /** L2 penalty: adds weightDecay · w to the gradient. Default 0. */
  readonly weightDecay?: number | Schedule | undefined;
}

let standardNames = false;

/**
 * Whether saved models name the optimizers as TensorFlow.js does (`Adam`) or as schuss does (`SchussAdamOptimizer`).
 */
export function useStandardNames(yes: boolean): void {
  standardNames = yes;
}

/** An optimizer of `tf.train` on schuss's kernels: what the factories of `schuss/tfjs` return. */
export abstract class TrainOptimizer<C extends OptimizerClass = OptimizerClass> extends WrappedOptimizer<C> {
  /** @internal */
  static readonly signature: Signature;
  readonly #extra: object;
  /** @internal */
  protected readonly placeholders = new Placeholders();

  protected constructor(Class: C, given: readonly unknown[], extra: object) {
    super(Class, optionsFrom(new.target.signature, given, extra));
    this.#extra = extra;
  }

  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const { signature } = cls as unknown as typeof TrainOptimizer;
    const who = signature.declaration.name;
    const extras = decodeExtras(who, config);
    const [, ...others] = signature.arguments;
    // The first argument is lr, the only one that may be a Schedule.
    const given = { lr: config['learningRate'], ...(config['options'] as object | undefined) };
    const { lr, ...options } = withSchedules(who, given, extras);
    const optimizer = new cls(lr, ...others.map(([name]) => config[name]), options);
    WrappedOptimizer.restoreExtras(optimizer as never, extras);
    return optimizer;
  }

  get #signature(): Signature {
    return (this.constructor as typeof TrainOptimizer).signature;
  }

  get #name(): string {
    return this.#signature.declaration.name;
  }

  /** The name in saved models: `SchussAdamOptimizer`, or TensorFlow.js's `Adam` while TensorFlow.js is patched. */
  override getClassName(): string {
    return standardNames ? this.#name.replace(/Optimizer$/, '') : super.getClassName();
  }

  /** The learning rate of the next step. It can be set at any time, to a number or a Schedule. */
  override get learningRate(): number {
    return super.learningRate;
  }

  override set learningRate(value: Rate) {
    if (typeof value !== 'function') checkNumber(this.#name, 'learningRate', value);
    super.learningRate = value;
  }

  /** Reads a constructor argument under TensorFlow.js's name, such as `beta1`: its value at the next step. @internal */
  static readArgument(optimizer: TrainOptimizer, name: string): unknown {
    return argumentsFrom(optimizer.#signature, optimizer.resolvedOptions())[name];
  }

  /** Sets it, from the next step on. @throws TypeError, RangeError @internal */
  static writeArgument(optimizer: TrainOptimizer, name: string, value: unknown): void {
    const { declaration, arguments: known } = optimizer.#signature;
    const [, option, index] = known.find(([known]) => known === name)!;
    checkArgument(declaration.name, optimizer.#signature, name, value);
    const current = optimizer.currentOptions()[option] as unknown[];
    optimizer.setOption(option, index === undefined ? value : current.with(index, value));
  }

  /** TensorFlow.js's names for the state arrays in use, in the order of its weights. */
  protected get suffixes(): Readonly<Record<string, string>> {
    return this.#signature.weights;
  }

  get #hasEma(): boolean {
    return this.currentOptions()['ema'] !== undefined;
  }

  /** With the averages of `ema`, which TensorFlow.js lacks. */
  get #allSuffixes(): Readonly<Record<string, string>> {
    return this.#hasEma ? { ...this.suffixes, ema: 'ema' } : this.suffixes;
  }

  /** Without averages under TensorFlow.js's names, because its own classes count the weights. */
  get #suffixesToSave(): Readonly<Record<string, string>> {
    return standardNames ? this.suffixes : this.#allSuffixes;
  }

  /** As in TensorFlow.js, steps without gradients count, because t is `iterations`. */
  protected override stepBeforeVariables(): StepResult {
    return this.countStepBeforeVariables();
  }

  protected override variablesAdded(names: readonly string[]): void {
    for (const name of names) {
      const shape = this.shapeOf(name);
      for (const suffix of Object.values(this.suffixes)) this.placeholders.add(`${name}/${suffix}`, shape);
    }
  }

  /** As in TensorFlow.js, state that the weights lack keeps its value. */
  protected override completed(loaded: ParamStateDict, current: ParamStateDict): ParamStateDict {
    return { ...current, ...loaded };
  }

  /**
   * The state in the order of `tf.train`: `iter`, then one array per variable and state: `<variable>/m`, …,
   * `<variable>/v`, …. With the option `ema`, then `<variable>/ema`, except while TensorFlow.js is patched.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const weights = [this.stepCountWeight()];
    const states = this.states();
    if (standardNames && this.#hasEma) this.warn("TensorFlow.js's Adam and the like have no averages: ema starts anew");
    for (const [field, suffix] of Object.entries(this.#suffixesToSave)) {
      for (const [variable, state] of states) {
        const array = state[field];
        if (!(array instanceof Float32Array)) continue;
        const name = `${variable}/${suffix}`;
        this.placeholders.remove(name);
        weights.push(this.stateWeight(name, variable, array));
      }
    }
    return weights;
  }

  /**
   * Loads what `getWeights` returned, here or in the same optimizer of `tf.train`, also before the first step. State
   * arrays are recognized by the endings of their names, or by position if one ending is unknown, as in TensorFlow.js.
   * Variables are matched by name, or by position if some names differ and the counts agree.
   *
   * @throws TypeError, RangeError for a list that does not fit; nothing has changed then
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.restore(await readTrainWeights(this.#name, weights, this.#allSuffixes));
  }

  /**
   * TensorFlow.js's arguments; `options` if extra options are set; and what else a saved model needs to go on: schedules
   * of the library, the number of skipped steps. A warning says what is lost.
   */
  override getConfig(): serialization.ConfigDict {
    const options = this.resolvedOptions();
    const config = argumentsFrom(this.#signature, options);
    const isSet = (name: string) => options[name] !== undefined && options[name] !== defaultOf(name);
    const extra = extraOptions.filter((name) => name in this.#extra || isSet(name)).filter((name) => name in options);
    if (extra.length > 0) config['options'] = Object.fromEntries(extra.map((name) => [name, options[name]]));
    return {
      ...config,
      ...this.extras((name) => name === 'lr' || extraOptions.includes(name)),
    } as serialization.ConfigDict;
  }

  /** Frees the state and all tensors of the optimizer. Variables are kept. May be called twice. */
  override dispose(): void {
    super.dispose();
    this.placeholders.dispose();
  }
}
