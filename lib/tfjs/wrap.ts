import {
  dispose,
  engine,
  type NamedTensorMap,
  serialization,
  Tensor,
  Optimizer as TfOptimizer,
  tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger } from '../check/options.js';
import { Optimizer, rebind } from '../core/optimizer.js';
import type { Schedule } from '../core/schedule.js';
import type { ParamStateDict, StateDict } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import { optimizers } from '../optimizers/index.js';
import { currentMemory } from './memory.js';

/** A tensor of an optimizer's state, as `getWeights` gives it. */
export type NamedTensor = Awaited<ReturnType<TfOptimizer['getWeights']>>[number];

/** A class of schuss: `Adam`, `SGD`, …. */
export type OptimizerClass = (new (params: never, options: never) => Optimizer) & { readonly optimizerName: string };

/** The options of a class, as {@link wrap} takes them: all but `zeroGrads`. */
export type WrapOptions<C extends OptimizerClass> = Omit<NonNullable<ConstructorParameters<C>[1]>, 'zeroGrads'>;

/** A variable that a step changes. */
interface Update {
  readonly variable: Variable;
  readonly gradient: Tensor;
}

/** What the optimizer holds under a variable's name. */
interface Binding {
  readonly shape: number[];
  /** The param: the variable's memory, or `parking`. */
  array: Float32Array;
  /** Stands in for the variable's memory, which may be freed or moved, in steps that the variable takes no part in. */
  parking?: Float32Array;
}

/** State by the name of its variable. */
export type States = Map<string, ParamStateDict>;

const probe = { probe: { data: new Float32Array(1), shape: [1, 1] } };

/** A `tf.Optimizer` whose steps are those of a schuss class: what {@link wrap} returns. */
export class WrappedOptimizer<C extends OptimizerClass = OptimizerClass> extends TfOptimizer {
  readonly #class: C;
  #options: object;
  /** Until the first step shows the variables, one that keeps the options and counts, and has a param of no meaning. */
  #optimizer: InstanceType<C>;
  readonly #bindings = new Map<string, Binding>();
  /** State that was loaded for variables that no step has shown yet. */
  #waiting: States = new Map();
  /** What getWeights gave out. It is kept and reused: `model.save` disposes of nothing. */
  readonly #weights = new Map<string, Variable>();
  #disposed = false;

  /** As of any class. Of TensorFlow.js's optimizers, every one would be an instance of every class. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: the class that is asked for, a subclass perhaps
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }

  constructor(Class: C, options: object) {
    super();
    this.#class = Class;
    this.#options = options;
    this.#optimizer = this.#create({ params: probe });
    const { zeroGrads = false, ...others } = options as { zeroGrads?: boolean };
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
  }

  get #name(): string {
    return this.#class.optimizerName;
  }

  get #started(): boolean {
    return this.#bindings.size > 0;
  }

  #create(group: object): InstanceType<C> {
    return new this.#class([group] as never, this.#options as never) as InstanceType<C>;
  }

  /**
   * The schuss optimizer inside: `lr`, `paramGroups`, `emaParams`, `stateDict()`, …. Its params are the variables' memory:
   * stepping is for this class alone. Group 0 has the variables of the first step; those that appear later form groups of
   * their own, which begin with the options of group 0.
   *
   * @throws TypeError before the first step
   */
  get optimizer(): InstanceType<C> {
    this.#checkAlive();
    if (!this.#started) {
      throw typeError(
        this.#name,
        'optimizer',
        'not there before the first step',
        'options in wrap, learningRate, or loadStateDict of the wrapped one',
      );
    }
    return this.#optimizer;
  }

  #checkAlive(): void {
    if (this.#disposed) throw typeError(this.#name, 'this', 'a disposed optimizer', 'one in use');
  }

  /** The learning rate of the next step, by the name that TensorFlow.js has for it; may be set at any time. */
  get learningRate(): number {
    return this.#optimizer.lr;
  }

  set learningRate(value: number | Schedule) {
    this.#optimizer.lr = value;
  }

  /**
   * Updates variables in place on the cpu and wasm backends; on others, reads and assigns them. Gradients are not changed.
   *
   * @param gradients By variable name. `null` or absent: variable and state stay as they are.
   * @returns What the step reports.
   * @throws TypeError for an unknown name or a wrong type, RangeError for a wrong shape; nothing has changed then
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[]): StepResult {
    this.#checkAlive();
    const updates = this.#updatesOf(gradients);
    if (updates.size === 0 && !this.#started) return this.stepOfNothing();
    const memory = currentMemory();
    for (const { variable, gradient } of updates.values()) memory.prepare(variable, gradient);

    // From here to `written` the backend allocates nothing, so that views hold.
    const fresh = new Map<string, Binding>();
    const moves = new Map<string, Float32Array>();
    const grads: Record<string, Float32Array | null> = {};
    for (const [name, binding] of this.#bindings) {
      if (updates.has(name)) continue;
      grads[name] = null;
      binding.parking ??= new Float32Array(sizeOf(binding.shape));
      if (binding.array !== binding.parking) moves.set(name, binding.parking);
    }
    for (const [name, { variable, gradient }] of updates) {
      const known = this.#bindings.get(name);
      const array = memory.view(variable, known?.array);
      const binding = known ?? { shape: variable.shape, array };
      if (known === undefined) fresh.set(name, binding);
      else if (array !== known.array) moves.set(name, array);
      grads[name] = memory.read(gradient);
    }
    this.#move(moves);
    if (fresh.size > 0) this.#adopt(fresh);

    const result = this.#optimizer.step(grads);
    if (result.applied) {
      for (const [name, { variable }] of updates) memory.written(variable, (this.#bindings.get(name) as Binding).array);
    }
    this.iterations_ = this.#optimizer.stepCount;
    return result;
  }

  /** A step without gradients before any variable was seen. */
  protected stepOfNothing(): StepResult {
    return { applied: false };
  }

  /** Counts such a step. */
  protected countStepOfNothing(): StepResult {
    const result = this.#optimizer.step(Object.fromEntries(Object.keys(probe).map((name) => [name, null])));
    this.iterations_ = this.#optimizer.stepCount;
    return result;
  }

  #updatesOf(gradients: NamedTensorMap | NamedTensor[]): Map<string, Update> {
    const entries = Array.isArray(gradients)
      ? gradients.map(({ name, tensor }) => [name, tensor] as const)
      : Object.entries(gradients);
    const updates = new Map<string, Update>();
    for (const [name, gradient] of entries as [string, Tensor | null | undefined][]) {
      if (gradient === null || gradient === undefined) continue;
      const path = `gradients[${JSON.stringify(name)}]`;
      const variable = engine().registeredVariables[name];
      if (variable === undefined)
        throw typeError(this.#name, path, 'no variable has this name', 'the name of a tf.Variable');
      if (variable.dtype !== 'float32')
        throw typeError(this.#name, path, `a variable of ${variable.dtype}`, 'one of float32');
      if (!(gradient instanceof Tensor)) throw typeError(this.#name, path, show(gradient), 'a tf.Tensor or null');
      if (gradient.isDisposed) throw typeError(this.#name, path, 'a disposed tensor', 'a live one');
      if (gradient.dtype !== 'float32')
        throw typeError(this.#name, path, `a tensor of ${gradient.dtype}`, 'one of float32');
      if (!sameShape(gradient.shape, variable.shape)) {
        throw rangeError(this.#name, path, `shape [${gradient.shape}]`, `[${variable.shape}], that of the variable`);
      }
      const known = this.#bindings.get(name);
      if (known !== undefined && !sameShape(known.shape, variable.shape)) {
        throw rangeError(
          this.#name,
          path,
          `a variable of shape [${variable.shape}]`,
          `[${known.shape}], that of the state under its name`,
        );
      }
      if (updates.has(name)) throw typeError(this.#name, path, 'a second gradient', 'one a variable');
      updates.set(name, { variable, gradient });
    }
    return updates;
  }

  /** Gives params other arrays. */
  #move(moves: ReadonlyMap<string, Float32Array>): void {
    // What one variable left, another may have got: first all leave, then all arrive. A heap that grew left nothing behind.
    for (const [name, array] of moves) {
      const { array: left } = this.#bindings.get(name) as Binding;
      if (moves.size > 1 && left.length > 0) rebind(this.#optimizer, name, new Float32Array(array.length));
    }
    for (const [name, array] of moves) {
      rebind(this.#optimizer, name, array);
      (this.#bindings.get(name) as Binding).array = array;
    }
  }

  /** Takes variables in, as a group with the options of group 0, and with the state that waited for them. */
  #adopt(fresh: ReadonlyMap<string, Binding>): void {
    const params = Object.fromEntries(
      [...fresh].map(([name, { array, shape }]) => [name, shape.length === 2 ? { data: array, shape } : array]),
    );
    const names = Object.keys(params);
    const states = this.#started ? this.#waiting : this.#named(this.#waiting, names);
    const group = { ...this.#optimizer.paramGroups[0], params };
    // An optimizer of the newcomers alone: what does not fit throws here, before anything has changed.
    const alone = this.#create(group);
    this.#load(alone, states, names);
    if (this.#started) {
      alone.dispose();
      this.#optimizer.addParamGroup(group as never);
      this.#load(this.#optimizer, states, names);
    } else {
      this.#optimizer.dispose();
      this.#optimizer = alone;
    }
    for (const [name, binding] of fresh) this.#bindings.set(name, binding);
    this.tookIn([...fresh.keys()]);
    this.#waiting = without(states, names);
  }

  /** Told of variables that have state from now on. */
  protected tookIn(_names: readonly string[]): void {}

  /** What is loaded for a variable whose state is `now`. */
  protected filled(loaded: ParamStateDict, _now: ParamStateDict): ParamStateDict {
    return loaded;
  }

  /** States under the names of these variables; by position, as in tf.train, if they know none: a model that is loaded beside another gets other names. */
  #named(states: States, names: readonly string[]): States {
    if (states.size === 0 || names.some((name) => states.has(name))) return states;
    if (states.size !== names.length) {
      throw rangeError(
        this.#name,
        'state',
        `for ${listed(states.keys())}`,
        `it for ${listed(names)}`,
        'loaded state is matched by name, else by position',
      );
    }
    const values = [...states.values()];
    return new Map(names.map((name, i) => [name, values[i] as ParamStateDict]));
  }

  /** Puts the states of `names`, as far as there are any, and the counts into an optimizer. */
  #load(
    optimizer: InstanceType<C>,
    states: States,
    names: readonly string[],
    stepCount = this.#optimizer.stepCount,
  ): void {
    const { skippedSteps } = this.#optimizer;
    const loaded = [...states].filter(([name]) => names.includes(name));
    if (loaded.length === 0 && stepCount === optimizer.stepCount && skippedSteps === optimizer.skippedSteps) return;
    const dict = optimizer.stateDict();
    optimizer.loadStateDict({
      ...dict,
      stepCount,
      skippedSteps,
      state: {
        ...dict.state,
        ...Object.fromEntries(
          loaded.map(([name, state]) => [name, this.filled(state, dict.state[name] as ParamStateDict)]),
        ),
      },
    });
  }

  /** The state dict of the schuss optimizer. @throws TypeError before the first step */
  stateDict(): StateDict {
    return this.optimizer.stateDict();
  }

  /**
   * Takes over a state dict, before the first step too: then each variable gets its state when it first takes part.
   *
   * @throws TypeError, RangeError for a dict that does not fit: at once, or in the step that shows the variables
   */
  loadStateDict(dict: StateDict): void {
    if (this.#started) {
      this.#optimizer.loadStateDict(dict);
    } else {
      const [group] = dict?.paramGroups ?? [];
      const states = new Map(Object.entries(structuredClone(dict?.state ?? {})));
      const { state } = this.#optimizer.stateDict();
      this.#optimizer.loadStateDict({ ...dict, paramGroups: [{ ...group, params: Object.keys(probe) }], state });
      this.#waiting = states;
    }
    this.iterations_ = this.#optimizer.stepCount;
  }

  /**
   * The state as tensors: `iter`, then `<variable>/<state>`. They belong to the optimizer, which assigns them again in the
   * next call; a number of the state is the two int32 halves of its float64.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const weights = [this.countAsWeight()];
    for (const [name, state] of this.states()) {
      for (const [field, value] of Object.entries<number | Float32Array>(state)) {
        const array = typeof value === 'number' ? new Int32Array(Float64Array.of(value).buffer) : value;
        weights.push(this.asWeight(`${name}/${field}`, name, array));
      }
    }
    return weights;
  }

  /** The state by the name of its variable, also that which waits for one. */
  protected states(): [string, ParamStateDict][] {
    this.#checkAlive();
    const states = this.#started ? Object.entries<ParamStateDict>(this.#optimizer.stateDict().state) : [];
    return [...states, ...this.#waiting];
  }

  /** The first weight. */
  protected countAsWeight(): NamedTensor {
    this.#checkAlive();
    return this.#weight('iter', Int32Array.of(this.#optimizer.stepCount), []);
  }

  /** A state array of a variable, in the variable's shape if it is one number an element. */
  protected asWeight(name: string, variable: string, values: Float32Array | Int32Array): NamedTensor {
    const shape = this.#bindings.get(variable)?.shape;
    const fits = values instanceof Float32Array && shape !== undefined && sizeOf(shape) === values.length;
    return this.#weight(name, values, fits ? shape : [values.length]);
  }

  protected shapeOf(variable: string): number[] {
    return this.#bindings.get(variable)?.shape ?? [];
  }

  #weight(name: string, values: Float32Array | Int32Array, shape: number[]): NamedTensor {
    const known = this.#weights.get(name);
    tidy(() => {
      const value = tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32');
      if (known !== undefined && !known.isDisposed && sameShape(known.shape, shape)) known.assign(value);
      else {
        known?.dispose();
        this.#weights.set(name, value.variable(false));
      }
    });
    return { name, tensor: this.#weights.get(name) as Variable };
  }

  /**
   * Takes over what {@link getWeights} gave; may come before the first step, as {@link loadStateDict}. State is matched by
   * variable name, or by position if no name is known. Options stay as they are.
   *
   * @throws TypeError, RangeError for names or lengths that do not fit
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const fields = new Map<string, Record<string, number | Float32Array>>();
    let stepCount = 0;
    for (const { name, tensor } of weights) {
      const values = await tensor.data();
      const slash = name.lastIndexOf('/');
      if (name === 'iter') {
        stepCount = checkInteger(this.#name, 'iter', values[0], '[0, inf)');
        continue;
      }
      if (slash < 1) throw typeError(this.#name, 'setWeights', JSON.stringify(name), '"iter" or "<variable>/<state>"');
      const variable = name.slice(0, slash);
      if (!fields.has(variable)) fields.set(variable, {});
      const value =
        tensor.dtype === 'int32'
          ? Float64Array.from(new Float64Array(Int32Array.from(values).buffer))[0]
          : Float32Array.from(values);
      (fields.get(variable) as Record<string, unknown>)[name.slice(slash + 1)] = value;
    }
    this.takeOver(fields as States, stepCount);
  }

  /** Loads states, of variables that were not seen yet too, and the count of steps. */
  protected takeOver(given: States, stepCount: number): void {
    this.#checkAlive();
    const names = this.#started ? [...this.#bindings.keys()] : [];
    const states = names.length > 0 ? this.#named(given, names) : given;
    this.#load(this.#optimizer, states, names, stepCount);
    this.#waiting = without(states, names);
    this.iterations_ = stepCount;
  }

  /** The options of the variables of the first step, as they are now; a Schedule as the number that the next step would use. */
  protected optionsNow(): Record<string, unknown> {
    this.#checkAlive();
    const { params, ...group } = this.#optimizer.paramGroups[0] as unknown as Record<string, unknown>;
    const next = this.#optimizer.stepCount + 1;
    const plain = (value: unknown): unknown =>
      typeof value === 'function' ? value(next) : Array.isArray(value) ? value.map(plain) : value;
    const options = Object.entries({ ...this.#options, ...group }).filter(([, value]) => value !== undefined);
    return Object.fromEntries(options.map(([name, value]) => [name, plain(value)]));
  }

  /** Sets an option for all variables from the next step on. */
  protected setOption(name: string, value: unknown): void {
    this.#checkAlive();
    for (const group of this.#optimizer.paramGroups) (group as unknown as Record<string, unknown>)[name] = value;
  }

  /** Class options as plain data: what they are now; a Schedule as the number that the next step would use. */
  override getConfig(): serialization.ConfigDict {
    return this.optionsNow() as serialization.ConfigDict;
  }

  /** Lets the state go, and the tensors that {@link getWeights} gave. Variables stay. Twice is fine. */
  override dispose(): void {
    this.#disposed = true;
    this.#optimizer.dispose();
    this.#bindings.clear();
    this.#waiting = new Map();
    dispose([...this.#weights.values()]);
    this.#weights.clear();
  }
}

/** The elements of a tensor of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, n) => size * n, 1);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function listed(names: Iterable<string>): string {
  return [...names].map((name) => JSON.stringify(name)).join(', ');
}

function without(states: States, names: readonly string[]): States {
  return new Map([...states].filter(([name]) => !names.includes(name)));
}

const classes = new WeakMap<OptimizerClass, new (options: object) => WrappedOptimizer>();

/** The subclass of `tf.Optimizer` for a class of schuss, which a saved model finds by its `className`. */
function classOf(Class: OptimizerClass): new (options: object) => WrappedOptimizer {
  let made = classes.get(Class);
  if (made === undefined) {
    const Wrapped = class extends WrappedOptimizer {
      // Not 'Adam': TensorFlow.js has one.
      static readonly className = `Schuss${Class.optimizerName}`;

      constructor(options: object) {
        super(Class, options);
      }

      static override fromConfig<T extends serialization.Serializable>(
        cls: serialization.SerializableConstructor<T>,
        config: serialization.ConfigDict,
      ): T {
        // tfjs-layers adds the custom objects that a load was given.
        const { customObjects: _, ...options } = config;
        return new cls(options);
      }
    };
    serialization.registerClass(Wrapped, 'schuss');
    classes.set(Class, Wrapped);
    made = Wrapped;
  }
  return made;
}

for (const Class of Object.values(optimizers)) classOf(Class);

/**
 * A `tf.Optimizer` that trains variables and models of TensorFlow.js with a class of schuss: its formulas, options and
 * schedules, its native kernels. Variables are updated in place on the cpu and wasm backends; on others they are read and
 * assigned. State is kept by variable name.
 *
 * What was read of a variable, tensors made from it (clones, slices, reshapes), and the array that it was made from do not
 * change with a step.
 *
 * @param Class `Adam`, `SGD`, …
 * @param options As the class takes them, but `zeroGrads`.
 * @returns The optimizer, for `minimize`, `applyGradients` or `model.compile`; `.optimizer` is the schuss one inside.
 * @throws TypeError for what is no class of schuss, for `zeroGrads`, and as the class throws
 * @example
 * ```ts
 * import '@tensorflow/tfjs-backend-wasm';
 * import * as tf from '@tensorflow/tfjs-core';
 * import * as layers from '@tensorflow/tfjs-layers';
 * import { Adam, cosine } from 'schuss';
 * import { wrap } from 'schuss/tfjs';
 * await tf.setBackend('wasm');
 * const model = layers.sequential({ layers: [layers.layers.dense({ units: 1, inputShape: [2] })] });
 * const optimizer = wrap(Adam, { lr: cosine(0.1, { steps: 100 }), clipNorm: 1 });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 2]), tf.zeros([8, 1]), { epochs: 50, verbose: 0 });
 * console.log(optimizer.optimizer.stepCount, optimizer.learningRate);
 * ```
 */
export function wrap<C extends OptimizerClass>(
  Class: C,
  options: WrapOptions<C> = {} as WrapOptions<C>,
): WrappedOptimizer<C> {
  if (typeof Class !== 'function' || !(Class.prototype instanceof Optimizer)) {
    throw typeError('wrap', 'Class', show(Class), 'an optimizer class of schuss, such as Adam');
  }
  return new (classOf(Class))(options) as unknown as WrappedOptimizer<C>;
}
