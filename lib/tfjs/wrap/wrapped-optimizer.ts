import { isDeepStrictEqual } from 'node:util';
import {
  dispose,
  type NamedTensorMap,
  type Scalar,
  type serialization,
  Optimizer as TfOptimizer,
  util,
  type Variable,
} from '@tensorflow/tfjs-core';
import { typeError } from '../../check/errors.js';
import { heldParams, heldParamsOf } from '../../core/held-params.js';
import { optionsOf } from '../../core/internals.js';
import type { Optimizer } from '../../core/optimizer.js';
import { withhold } from '../../core/option-members.js';
import type { Tensor } from '../../core/params.js';
import { inspect, print } from '../../core/print.js';
import type { Schedule } from '../../core/schedule.js';
import type { ParamStateDict, StateDict } from '../../core/state-dict.js';
import type { StepResult } from '../../core/stepper.js';
import { currentMemory } from '../memory.js';
import { type Extras, encodeExtras, recipesOf } from './extras.js';
import { matrixShape, optionsFor } from './matrices.js';
import { refuseOptions } from './members.js';
import { matchStates, type States, without } from './states.js';
import { type Binding, Variables } from './variables.js';
import { int32Halves, type NamedTensor, type Restored, readWeights, Weights } from './weights.js';

/** An optimizer class of schuss: `Adam`, `SGD`, …. */
export type OptimizerClass = (new (
  params: never,
  options: never,
) => Optimizer) & { readonly optimizerName: string; readonly needsLoss?: boolean };

/** The options that {@link wrap} takes for a class: all of the class's options except `zeroGrads`. */
export type WrapOptions<C extends OptimizerClass> = Omit<NonNullable<ConstructorParameters<C>[1]>, 'zeroGrads'>;

/** An inner optimizer, whose params have the names of variables. */
type Named<I> = I & {
  readonly [K in keyof I & ('emaParams' | 'averagedParams')]:
    | Readonly<Record<string, Float32Array>>
    | Extract<I[K], undefined>;
};

/** The step of any class. */
interface Stepping {
  step(grads: object, options?: { readonly loss: number }): StepResult;
}

const probe = { probe: { data: new Float32Array(1), shape: [1, 1] } };

/** A state of the dummy param with the same entries as that of a variable. The options decide which they are. */
function probeState(state: ParamStateDict | undefined): ParamStateDict {
  const entries = Object.entries(state ?? {}).map(([name, value]) => [
    name,
    value instanceof Float32Array ? new Float32Array(1) : value,
  ]);
  return { ...Object.fromEntries(entries), step: 0 };
}

/** The state whose method is that of the dummy param. Its options may have added an entry, or `ema` be absent. */
function likeProbe(states: readonly ParamStateDict[], probe: ParamStateDict | undefined): ParamStateDict | undefined {
  const names = Object.keys(probe ?? {}).filter((name) => name !== 'ema');
  return states.find((state) => names.every((name) => Object.hasOwn(state, name))) ?? states[0];
}

/** A `tf.Optimizer` that steps with an optimizer class of schuss: what {@link wrap} returns. */
export class WrappedOptimizer<C extends OptimizerClass = OptimizerClass> extends TfOptimizer {
  readonly #class: C;
  #options: object;
  /**
   * Before the first step the variables are unknown. Until then, this optimizer has a dummy param and holds only
   * options and counts.
   */
  #optimizer: InstanceType<C>;
  readonly #variables: Variables;
  /** Loaded state of variables that no step has updated yet. */
  #pending: States = new Map();
  readonly #weights = new Weights();
  #disposed = false;
  /** What a warning has said that a saved model does not hold. */
  readonly #warned = new Set<string>();

  /** The usual instanceof. That of TensorFlow.js's optimizers counts every optimizer as an instance of every class. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: the class on the right of instanceof, which may be a subclass
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }

  constructor(Class: C, options: object) {
    super();
    this.#class = Class;
    this.#options = optionsFor(Class, withhold(options, ['zeroGrads']));
    this.#optimizer = this.#create({ params: probe });
    this.#variables = new Variables(this.#name);
    const { zeroGrads = false, ...others } = this.#options as { zeroGrads?: boolean };
    if (zeroGrads)
      throw typeError(
        this.#name,
        'zeroGrads',
        'true',
        'false',
        'in TensorFlow.js other tensors may share the memory of a gradient',
      );
    this.#options = others;
    this.iterations_ = 0;
    refuseOptions(new.target, this.#name, this.#optimizer);
  }

  get #name(): string {
    return this.#class.optimizerName;
  }

  get #started(): boolean {
    return this.#variables.size > 0;
  }

  #create(group: object, options = this.#options): InstanceType<C> {
    return new this.#class([group] as never, options as never) as InstanceType<C>;
  }

  /**
   * The inner schuss optimizer: `lr`, `paramGroups`, `emaParams`, `stateDict()`, …. Its params are the memory of the
   * variables, so do not call its `step`. Group 0 holds the variables of the first step. Variables that appear later
   * form new groups, which start with the options of group 0.
   *
   * @throws TypeError before the first step
   */
  get optimizer(): Named<InstanceType<C>> {
    this.#checkAlive();
    if (!this.#started) {
      throw typeError(
        this.#name,
        'optimizer',
        'there is none before the first step',
        'a use after it',
        'until then, give options at construction, set learningRate, or call loadStateDict',
      );
    }
    return this.#optimizer as Named<InstanceType<C>>;
  }

  #checkAlive(): void {
    if (this.#disposed) throw typeError(this.#name, 'this', 'a disposed optimizer', 'one that is not disposed');
  }

  /** The inner optimizer's class, counts, options and variables. */
  override toString(): string {
    return this[inspect]();
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return this.#started ? heldParamsOf(this.#optimizer).filter(({ key }) => this.#variables.isLive(String(key))) : [];
  }

  /** What console.log prints. @internal */
  [inspect](): string {
    if (this.#started || this.#disposed) return this.#optimizer[inspect]();
    const { params: _, ...ofGroup } = this.#optimizer.paramGroups[0] as object as { params: unknown };
    return print(this.#name, { ...this.#options, ...ofGroup });
  }

  /** The learning rate of the next step, under TensorFlow.js's name. It can be set at any time. */
  get learningRate(): number {
    return this.#optimizer.lr;
  }

  set learningRate(value: number | Schedule) {
    this.#optimizer.lr = value;
  }

  /** Sets the learning rate, as assigning `learningRate` does. */
  setLearningRate(learningRate: number | Schedule): void {
    this.learningRate = learningRate;
  }

  /** The same as {@link learningRate}, under schuss's name. */
  get lr(): number {
    return this.learningRate;
  }

  set lr(value: number | Schedule) {
    this.learningRate = value;
  }

  /**
   * Updates variables in place on the cpu and wasm backends; on others, reads and assigns them. Gradients do not
   * change.
   *
   * @param gradients By variable name. If a gradient is `null` or absent, variable and state do not change.
   * @param options `loss`, in a class whose steps need it.
   * @returns The result of the step.
   * @throws TypeError for an unknown name, a wrong type or a missing loss, RangeError for a wrong shape; nothing has changed
   *   then
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[], options?: { readonly loss: number }): StepResult {
    this.#checkAlive();
    if (this.#class.needsLoss && typeof options?.loss !== 'number')
      throw typeError(
        this.#name,
        'loss',
        'a step without it',
        'minimize(f), or applyGradients(gradients, { loss })',
        'the step depends on the loss',
      );
    const updates = this.#variables.updatesFrom(gradients);
    if (updates.size === 0 && !this.#started) return this.stepBeforeVariables();
    const memory = currentMemory();
    for (const { variable, gradient } of updates.values()) memory.prepare(variable, gradient);

    // From here to `written` nothing may allocate in the backend, so that the views stay valid.
    const { grads, moves, added } = this.#variables.inputsFrom(updates, memory);
    this.#variables.move(this.#optimizer, moves);
    if (added.size > 0) this.#addVariables(added);

    const result = (this.#optimizer as Stepping).step(grads, options);
    if (result.applied)
      for (const [name, { variable }] of updates) memory.written(variable, this.#variables.arrayOf(name));
    this.iterations_ = this.#optimizer.stepCount;
    return result;
  }

  /** As in TensorFlow.js. A class whose steps need the loss gets it. @throws as {@link applyGradients} */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    if (!this.#class.needsLoss) return super.minimize(f, returnCost, varList);
    const { value, grads } = this.computeGradients(f, varList);
    try {
      const [loss] = value.dataSync() as Float32Array;
      const named = varList?.map(({ name }) => ({ name, tensor: grads[name] })) as NamedTensor[] | undefined;
      this.applyGradients(named ?? grads, { loss: loss! });
    } catch (error) {
      value.dispose();
      throw error;
    } finally {
      dispose(grads);
    }
    if (returnCost) return value;
    value.dispose();
    return null;
  }

  /** Result of a step without gradients before the optimizer has any variables. */
  protected stepBeforeVariables(): StepResult {
    return { applied: false };
  }

  /** Counts a step without gradients before the optimizer has any variables. The dummy param gets no gradient. */
  protected countStepBeforeVariables(): StepResult {
    const result = this.#optimizer.step(Object.fromEntries(Object.keys(probe).map((name) => [name, null])));
    this.iterations_ = this.#optimizer.stepCount;
    return result;
  }

  /** Adds variables as a group with the options of group 0, and loads the pending state of each. */
  #addVariables(added: ReadonlyMap<string, Binding>): void {
    const params = Object.fromEntries(
      [...added].map(([name, { array, shape: given }]) => {
        const shape = matrixShape(this.#class, given);
        return [name, shape === undefined ? array : { data: array, shape }];
      }),
    );
    const names = Object.keys(params);
    const states = matchStates(this.#name, this.#pending, names, !this.#started);
    const group = { ...this.#optimizer.paramGroups[0], params };
    // An optimizer of the new variables alone: whatever does not fit throws here, before anything has changed.
    const trial = this.#create(group, { ...this.#options, ...optionsOf(this.#optimizer) });
    this.#load(trial, states, names);
    if (this.#started) {
      trial.dispose();
      this.#optimizer.addParamGroup(group as never);
      this.#load(this.#optimizer, states, names);
    } else {
      this.#optimizer.dispose();
      this.#optimizer = trial;
    }
    this.#variables.add(added);
    this.variablesAdded([...added.keys()]);
    this.#pending = without(states, names);
  }

  /** Called when variables got state. */
  protected variablesAdded(_names: readonly string[]): void {}

  /** The state to load for a variable, from what was given and what the optimizer holds. */
  protected completed(loaded: ParamStateDict, _current: ParamStateDict): ParamStateDict {
    return loaded;
  }

  /** Loads the counts, the mode, and the states of the variables `names`, into an optimizer. */
  #load(
    optimizer: InstanceType<C>,
    states: States,
    names: readonly string[],
    stepCount = this.#optimizer.stepCount,
  ): void {
    const { skippedSteps, mode } = this.#optimizer.stateDict();
    const dict = optimizer.stateDict();
    const loaded = [...states].filter(([name]) => names.includes(name));
    const completed = loaded.map(([name, state]) => [name, this.completed(state, dict.state[name] as ParamStateDict)]);
    optimizer.loadStateDict({
      ...dict,
      ...(mode === undefined ? {} : { mode }),
      stepCount,
      skippedSteps,
      state: { ...dict.state, ...Object.fromEntries(completed) },
    });
  }

  /** The state dict of the inner optimizer. @throws TypeError before the first step */
  stateDict(): StateDict {
    return this.optimizer.stateDict();
  }

  /**
   * Loads a state dict. Before the first step it is kept, and each variable gets its state in the first step with that
   * variable.
   *
   * @throws TypeError, RangeError for a dict that does not fit: at once, or in the first step with the variables
   */
  loadStateDict(dict: StateDict): void {
    if (this.#started) {
      this.#optimizer.loadStateDict(dict);
    } else {
      const [group, ...others] = dict?.paramGroups ?? [];
      const { params: _, ...options } = group ?? { params: [] };
      for (const [i, { params: _, ...its }] of others.entries())
        if (!isDeepStrictEqual(its, options))
          throw typeError(
            this.#name,
            `paramGroups[${i + 1}]`,
            'other options than paramGroups[0]',
            'the same options before the first step',
            'after it, the groups can differ',
          );
      const states = new Map(Object.entries(structuredClone(dict?.state ?? {})));
      const own = this.#optimizer.stateDict().state['probe'];
      const state = { probe: probeState(likeProbe([...states.values()], own) ?? own) };
      this.#optimizer.loadStateDict({ ...dict, paramGroups: [{ ...group, params: Object.keys(probe) }], state });
      this.#pending = states;
    }
    this.iterations_ = this.#optimizer.stepCount;
  }

  /**
   * The state as tensors: `iter`, then `<variable>/<state>`. A number of the state is an int32 tensor with the two
   * halves of its float64. The tensors belong to the optimizer, and the next call assigns them new values.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const weights = [this.stepCountWeight()];
    for (const [variable, state] of this.states()) {
      for (const [field, value] of Object.entries<number | Float32Array>(state)) {
        const array = typeof value === 'number' ? int32Halves(value) : value;
        weights.push(this.stateWeight(`${variable}/${field}`, variable, array));
      }
    }
    return weights;
  }

  /**
   * The state by variable name, pending state included. That of disposed variables is left out: an optimizer that went on
   * to another model would save it with that model. If all are disposed, the model itself is gone before it was saved.
   */
  protected states(): [string, ParamStateDict][] {
    this.#checkAlive();
    const states = this.#started ? Object.entries<ParamStateDict>(this.#optimizer.stateDict().state) : [];
    const live = states.filter(([name]) => this.#variables.isLive(name));
    return [...(live.length > 0 ? live : states), ...this.#pending];
  }

  /** The weight `iter`. */
  protected stepCountWeight(): NamedTensor {
    this.#checkAlive();
    return this.#weights.set('iter', Int32Array.of(this.#optimizer.stepCount), []);
  }

  /** A state array of a variable, in the variable's shape if it has one number per element. */
  protected stateWeight(name: string, variable: string, values: Float32Array | Int32Array): NamedTensor {
    const shape = this.#variables.shapeOf(variable);
    const fits = values instanceof Float32Array && shape !== undefined && util.sizeFromShape(shape) === values.length;
    return this.#weights.set(name, values, fits ? shape : [values.length]);
  }

  protected shapeOf(variable: string): number[] {
    return this.#variables.shapeOf(variable) ?? [];
  }

  /**
   * Loads what {@link getWeights} returned, also before the first step, as {@link loadStateDict} does. State is matched
   * by variable name, or by position if some names differ and the counts agree. Options do not change.
   *
   * @throws TypeError, RangeError for names or lengths that do not fit
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    this.restore(await readWeights(this.#name, weights));
  }

  /** Loads step count and states; keeps those of variables that no step has updated yet. */
  protected restore({ stepCount, states: given }: Restored): void {
    this.#checkAlive();
    const { names } = this.#variables;
    const live = names.filter((name) => this.#variables.isLive(name));
    const states = names.length > 0 ? matchStates(this.#name, given, live.length > 0 ? live : names, true) : given;
    this.#load(this.#optimizer, states, names, stepCount);
    this.#pending = without(states, names);
    this.iterations_ = stepCount;
  }

  /** Current options of group 0 and of the optimizer as a whole. */
  protected currentOptions(): Record<string, unknown> {
    this.#checkAlive();
    const { params, ...group } = this.#optimizer.paramGroups[0] as unknown as Record<string, unknown>;
    const options = { ...this.#options, ...optionsOf(this.#optimizer), ...group };
    return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  }

  /** The same, with the values of Schedules at the next step. */
  protected resolvedOptions(): Record<string, unknown> {
    const next = this.#optimizer.stepCount + 1;
    const resolve = (value: unknown): unknown =>
      typeof value === 'function' ? value(next) : Array.isArray(value) ? value.map(resolve) : value;
    const options = Object.entries(this.currentOptions());
    return Object.fromEntries(options.map(([name, value]) => [name, resolve(value)]));
  }

  /** Sets an option for all variables, from the next step on. */
  protected setOption(name: string, value: unknown): void {
    this.#checkAlive();
    for (const group of this.#optimizer.paramGroups) (group as unknown as Record<string, unknown>)[name] = value;
  }

  /**
   * The current options as plain data, and what else a saved model needs to go on: schedules of the library, the mode of a
   * ScheduleFree optimizer, the number of skipped steps. A Schedule of your own becomes its value at the next step. A
   * warning says what is lost.
   */
  override getConfig(): serialization.ConfigDict {
    return { ...this.resolvedOptions(), ...this.extras() } as serialization.ConfigDict;
  }

  /**
   * What a config holds beside the options. Warns of what it cannot hold.
   * @param canHold Whether it can hold a schedule for an option.
   */
  protected extras(canHold = (_name: string): boolean => true): ReturnType<typeof encodeExtras> {
    const options = this.currentOptions();
    const { schedules, lost } = recipesOf(options, canHold);
    for (const path of lost)
      this.warn(
        `${path} is a Schedule of your own. The model has its present value; set ${path === 'lr' ? 'learningRate' : path} again after loading`,
      );
    this.#warnOfGroups();
    const { skippedSteps, mode } = this.#optimizer.stateDict();
    const infinite = Object.keys(options).filter((name) => options[name] === Number.POSITIVE_INFINITY);
    return encodeExtras({
      ...(Object.keys(schedules).length > 0 && { schedules }),
      ...(infinite.length > 0 && { infinite }),
      ...(skippedSteps > 0 && { skippedSteps }),
      ...(mode === 'eval' && { mode }),
    });
  }

  #warnOfGroups(): void {
    const optimizer: Optimizer = this.#optimizer;
    const [first, ...others] = optimizer.paramGroups.map(({ params, ...options }) => options);
    const differs = others.findIndex((options) => !isDeepStrictEqual(options, first));
    if (differs >= 0)
      this.warn(
        `paramGroups[${differs + 1}] has other options than paramGroups[0]. The model has those of paramGroups[0]`,
      );
  }

  /** Warns once that a saved model lacks something. */
  protected warn(what: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    console.warn(`schuss/tfjs: a saved model cannot hold all of ${this.#name}: ${what}.`);
  }

  /** Takes over the extras of a config that are not options. @internal */
  static restoreExtras(wrapped: WrappedOptimizer, { skippedSteps, mode }: Extras): void {
    const optimizer: Optimizer = wrapped.#optimizer;
    const dict = optimizer.stateDict();
    optimizer.loadStateDict({
      ...dict,
      ...(mode === undefined ? {} : { mode }),
      skippedSteps: skippedSteps ?? dict.skippedSteps,
    });
  }

  /** Frees the state and the tensors that {@link getWeights} returned. Variables are kept. May be called twice. */
  override dispose(): void {
    this.#disposed = true;
    this.#optimizer.dispose();
    this.#variables.clear();
    this.#pending = new Map();
    this.#weights.dispose();
  }
}
