import { show, typeError } from '../check/errors.js';
import { floatsOf, lengthOf } from '../check/typed-array.js';
import { engine } from '../engine/backend.js';
import type { Block } from '../engine/block.js';
import { collect, listLength } from './collect.js';
import {
  commonHyperParameters,
  type Declaration,
  type DefaultsOf,
  type Formula,
  type GroupOptionsOf,
  type HyperParameter,
  type Numbers,
  optimizerHyperParameters,
  type ResolvedOf,
  type SettingsFrom,
} from './declaration.js';
import { checkHook } from './hooks.js';
import { checkOptionsOf } from './option-members.js';
import type { Group, ParamGroup } from './param-group.js';
import type { ParamState } from './param-state.js';
import { ParamStore } from './param-store.js';
import type { FoundGroup, Shape } from './params.js';
import type { AnyParams, ArraysOf, GivenGroup, GradsOf } from './params-of.js';
import { inspect, print } from './print.js';
import type { Schedule } from './schedule.js';
import { type HyperParameterTable, optionsIn, Settings } from './settings.js';
import { dividerIn } from './shard.js';
import {
  checkFrame,
  checkMode,
  keepsSchedules,
  type LoadOptions,
  loadGroup,
  loadOptions,
  loadParam,
  type StateDict,
  saveGroup,
  saveParam,
  saveSettings,
  warnOfOptionsOff,
} from './state-dict.js';
import { type StepAsyncOptions, type StepOptions, Stepper, type StepResult } from './stepper.js';

/**
 * Base class of all first-order optimizers. Holds the param groups and their state, performs the steps, and saves and
 * loads the state. A subclass defines its declaration, the constants of a step, and which of its kernels to use.
 *
 * @typeParam D The type of the declaration.
 * @typeParam P The type of the params, which gives that of gradients and averages.
 */
export abstract class Optimizer<D extends Declaration = Declaration, P = AnyParams> {
  readonly #declaration: D;
  /** Hyper-parameters of a group of this class. */
  readonly #table: HyperParameterTable;
  readonly #global: Settings;
  readonly #store: ParamStore;
  readonly #stepper: Stepper;
  #emaViews: readonly Float32Array[] = [];
  /** The same object as long as the arrays are the same. */
  #emaParams: ArraysOf<P> | undefined;
  #views: readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] = [];

  protected constructor(declaration: D, params: object, options: DefaultsOf<D> = {} as DefaultsOf<D>) {
    const { name } = declaration;
    this.#declaration = declaration;
    this.#table = { ...declaration.hyperParameters, ...commonHyperParameters };
    checkOptionsOf(new.target, declaration, options);
    const defaults = optionsIn(options, this.#table);
    this.#global = new Settings(name, optimizerHyperParameters, optionsIn(options, optimizerHyperParameters));
    const formula = this.#formula();
    const group = { table: this.#table, defaults, divide: dividerIn(options) };
    this.#store = new ParamStore(declaration, engine(), formula, this.#global, group);
    this.#stepper = new Stepper(declaration, this.#store, this.#global, formula.start);
    for (const [kernel, its] of Object.entries(declaration.kernels)) this.#store.engine.confirm(kernel, its);
    // A default is checked even where every group overrides it. A required one may still be left to the groups.
    for (const [option, value] of Object.entries(defaults))
      new Settings(name, { [option]: this.#table[option] as HyperParameter }, { [option]: value });
    this.#add(collect(name, params), (g) => `params[${g}]`);
  }

  // ---- What a subclass defines ----

  /** Constants of the kernel for a param's update number `t`, in float64 and in the order of the declaration. */
  protected abstract constants(options: ResolvedOf<D>, t: number, scalars: Numbers, kernel: string): Numbers;

  /**
   * Name of the kernel that the options select for a param. A value that a schedule gives later reads NaN. `has` tells
   * which state arrays the param has already.
   */
  protected kernel(_options: ResolvedOf<D>, _shape: Shape, _has: (state: string) => boolean): string {
    return Object.keys(this.#declaration.kernels)[0] as string;
  }

  /** Initial value of the elements of the state array `name`, for a param that has taken `t` updates. */
  protected initial(_name: string, _options: ResolvedOf<D>, _t: number): number {
    return 0;
  }

  /**
   * Fills state whose initial value depends on the param or on a step's options. Called before a param's first update.
   */
  protected start?(options: ResolvedOf<D>, param: Float32Array, state: Readonly<Record<string, Float32Array>>): void;

  /** Scalars of a param after its update: a new list, or the same list if none has changed. */
  protected scalarsAfter(_options: ResolvedOf<D>, _t: number, scalars: readonly number[]): readonly number[] {
    return scalars;
  }

  /** For kernels with numbers: those of a scope that follow the scalars. `groups` are the options of its groups. */
  protected inputs(_groups: readonly ResolvedOf<D>[], _t: number, _scalars: Numbers, _loss: number): Numbers {
    return [];
  }

  /** Finds options that contradict each other: returns the argument, the given value and the allowed ones. */
  protected conflict(
    _options: ResolvedOf<D>,
  ): readonly [argument: string, given: string, expected: string] | undefined {
    return undefined;
  }

  /** Training or evaluation mode, in classes that have one. */
  protected get mode(): 'train' | 'eval' | undefined {
    return undefined;
  }

  /** Takes over a saved mode. The params are those of the saved run, so nothing is converted. */
  protected loadMode(_mode: 'train' | 'eval'): void {}

  // ---- For members of a subclass ----

  /**
   * The live state arrays called `name`, in the structure of the gradients.
   * @param options `startsAsParam`: the array of a param without an update so far shows the param's present values.
   */
  protected stateArrays(name: string, { startsAsParam = false } = {}): ArraysOf<P> {
    this.#stepper.checkNotDisposed();
    const blockOf = (param: ParamState): Block => param.state.get(name) as Block;
    if (startsAsParam) this.#showParams(blockOf);
    return this.#assemble((param) => blockOf(param).view());
  }

  /** The scalars of the first param. */
  protected get firstScalars(): readonly number[] {
    this.#stepper.checkNotDisposed();
    return this.#store.params[0]?.scalars ?? [];
  }

  /** Calls `visit` with each param that was updated before, and with copies of its state. `visit` may write to the param. */
  protected forEachParam(
    visit: (param: Float32Array, state: Readonly<Record<string, Float32Array>>, scalars: readonly number[]) => void,
  ): void {
    this.#stepper.checkNoPendingStep();
    this.#store.checkParams();
    this.#stepper.checkParamsSettled();
    this.#stepper.exclusively(() => {
      for (const { data, state, scalars } of this.#store.params.filter(({ step }) => step > 0)) {
        const copies = [...state].map(([name, block]) => [name, block.read()] as const);
        visit(floatsOf(data), Object.fromEntries(copies), scalars);
      }
    });
  }

  // ---- Reading and setting ----

  /**
   * The param groups, as sealed objects. Reading an option returns the number or Schedule that was set. Assigning an
   * option checks the value; the next step uses it.
   */
  get paramGroups(): readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] {
    this.#stepper.checkNotDisposed();
    return this.#views;
  }

  /** The learning rate of group 0 in the next step. Assigning it sets the rate of all present groups. */
  get lr(): number {
    this.#stepper.checkNotDisposed();
    return (this.#store.groups[0] as Group).settings.at('lr', this.#stepper.stepCount + 1);
  }

  set lr(value: number | Schedule) {
    this.#stepper.assign(() => this.#prepareChange(this.#store.groups, 'lr', value)());
  }

  /** Number of applied steps. Schedules are evaluated at stepCount + 1. */
  get stepCount(): number {
    this.#stepper.checkNotDisposed();
    return this.#stepper.stepCount;
  }

  /** Number of steps that `skipNonFinite` skipped. */
  get skippedSteps(): number {
    this.#stepper.checkNotDisposed();
    return this.#stepper.skippedSteps;
  }

  /**
   * The exponential moving averages of the params, in the structure of the gradients. The arrays are views: each step
   * changes them. A param without an update has its current weights here. A step with a sparse gradient changes only the
   * averages of its rows. Undefined without the option `ema`.
   */
  get emaParams(): ArraysOf<P> | undefined {
    this.#stepper.checkNotDisposed();
    if (!this.#store.hasEma) return undefined;
    const emaOf = (param: ParamState): Block => param.ema as Block;
    this.#showParams(emaOf);
    const views = this.#store.params.map((param) => emaOf(param).view());
    if (views.length !== this.#emaViews.length || views.some((view, i) => view !== this.#emaViews[i])) {
      this.#emaViews = views;
      this.#emaParams = this.#assemble((param) => emaOf(param).view());
    }
    return this.#emaParams;
  }

  /**
   * Adds a param group.
   *
   * @param group `{ params, …options }`. An option that it lacks has the value passed to the constructor, or its default;
   *   values assigned later do not count. Either all params have names or none has; names are unique.
   * @throws TypeError or RangeError for wrong params or options; then nothing is added
   */
  addParamGroup<const G extends { readonly params: object } & GroupOptionsOf<D>>(group: GivenGroup<G, D>): void {
    this.#stepper.checkNoPendingStep();
    this.#stepper.exclusively(() => {
      if (typeof group !== 'object' || group === null || !('params' in group))
        throw typeError(this.#name, 'group', show(group), 'a group { params, … }');
      this.#store.checkParams();
      const { params, groups } = this.#store;
      const found = collect(this.#name, [group], listLength(params), groups.length);
      this.#add(found, (g) => `paramGroups[${groups.length + g}]`);
    });
  }

  // ---- The step ----

  /**
   * Updates the params in place, in one pass over memory.
   *
   * Order of operations: gradScale, norm and clipNorm, clipValue, maximize, L2 decay, the formula, then zeroGrads and
   * ema.
   *
   * @param grads One gradient per param, in the structure of the params: a `Float32Array` of the param's length, or a
   *   {@link SparseGrad} `{ rows, values }`, which leaves all other rows and their state unchanged, or `null`, which leaves
   *   the param and its state unchanged. A step does not change the gradients, unless `zeroGrads` is set.
   * @param options `gradScale` multiplies every gradient. Default 1.
   * @returns Whether the step was applied, and the gradients' norm if it was measured.
   * @throws TypeError for a wrong structure or type, a detached buffer, or a pending stepAsync; RangeError for a wrong
   *   length, row number or schedule value, or overlapping memory. Nothing has changed then.
   */
  step(grads: GradsOf<P>, options?: StepOptions): StepResult {
    return this.#stepper.step(grads, options);
  }

  /**
   * Like {@link step}, but on other threads: the event loop stays free. Several calls run in order. Arguments are checked
   * at the call. Options such as `lr` are read when the step starts.
   *
   * While a step is pending, these throw a TypeError: `step`, `stateDict`, `loadStateDict`, `addParamGroup`, `dispose`,
   * a change of an option that needs other state, and a step of another optimizer on the same params. Code that reads
   * the params at that time sees some elements before the update and some after it.
   *
   * In three cases the step runs on the calling thread: if it takes only microseconds, because waking another thread takes
   * longer; without the native addon; and on a WebAssembly.Memory that is not shared, because it could move.
   *
   * @param grads As for {@link step}. Gradients and params need memory that cannot move: that of `allocate(length)`, a
   *   SharedArrayBuffer or a WebAssembly.Memory. Do not change the gradients until the promise settles.
   * @param options `gradScale` as for {@link step}. Abort `signal` to cancel a step that has not started.
   * @returns A promise of the result of {@link step}. It rejects with the errors of {@link step}, with a TypeError for
   *   memory that can move, or with the signal's reason. The call itself never throws.
   * @example
   * ```ts
   * import { Adam, allocate } from 'schuss';
   * const w = allocate(1000), g = allocate(1000).fill(0.1);
   * const adam = new Adam(w);
   * const { applied } = await adam.stepAsync(g); // true
   * ```
   */
  async stepAsync(grads: GradsOf<P>, options?: StepAsyncOptions): Promise<StepResult> {
    return this.#stepper.stepAsync(grads, options);
  }

  /**
   * Registers a function that runs before each step; with `stepAsync`, when the step starts. It can change the gradients in
   * place and set options such as `lr`. It must not call `step`. If it throws, `step` throws the error; nothing has changed.
   *
   * @param hook Receives this optimizer and the gradients that were passed to the step. Its return value is ignored; a
   *   promise is not awaited.
   * @returns A function that removes the hook.
   * @throws TypeError if it is not a function
   * @example
   * ```ts
   * import { gradNorm, SGD } from 'schuss';
   * const sgd = new SGD(new Float32Array(2), { lr: 0.1 });
   * const norms: number[] = [];
   * const remove = sgd.registerStepPreHook((_, grads) => norms.push(gradNorm(grads)));
   * sgd.step(new Float32Array([3, 4])); // norms is [5]
   * remove();
   * ```
   * @see PyTorch's `Optimizer.register_step_pre_hook`
   */
  registerStepPreHook(hook: (optimizer: this, grads: GradsOf<P>) => void): () => void {
    this.#stepper.checkNotDisposed();
    checkHook(`${this.#name}.registerStepPreHook`, hook);
    return this.#stepper.preHooks.add((grads) => hook(this, grads as GradsOf<P>));
  }

  /**
   * Registers a function that runs after each step, also after a skipped one; with `stepAsync`, before its promise settles.
   * It can set options such as `lr`, but must not call `step`. If it throws, `step` throws the error after the update.
   *
   * @param hook Receives this optimizer and the result of the step. Its return value is ignored; a promise is not awaited.
   * @returns A function that removes the hook.
   * @throws TypeError if it is not a function
   * @example
   * ```ts
   * import { SGD } from 'schuss';
   * const sgd = new SGD(new Float32Array(2), { lr: 0.1, skipNonFinite: true });
   * sgd.registerStepPostHook((optimizer, { applied }) => {
   *   if (!applied) console.log(`a step was skipped after ${optimizer.stepCount} steps`);
   * });
   * sgd.step(new Float32Array([NaN, 0])); // prints: a step was skipped after 0 steps
   * ```
   * @see PyTorch's `Optimizer.register_step_post_hook`
   */
  registerStepPostHook(hook: (optimizer: this, result: StepResult) => void): () => void {
    this.#stepper.checkNotDisposed();
    checkHook(`${this.#name}.registerStepPostHook`, hook);
    return this.#stepper.postHooks.add((result) => hook(this, result));
  }

  // ---- Saving and loading ----

  /**
   * A copy of the state and the options: all that a resumed run needs, except the params. `structuredClone` can copy it.
   * @throws TypeError during another call, and after one that vm's timeout interrupted: the params may be half updated
   */
  stateDict(): StateDict {
    this.#stepper.checkNotInCall();
    this.#stepper.checkNoPendingStep();
    const { groups, params, scalarNames } = this.#store;
    for (const param of params) this.#store.checkState(param);
    const states = params.map((param) => [param.key, saveParam(param, scalarNames, this.#store.arraysOf(param))]);
    return {
      version: 1,
      optimizer: this.#name,
      stepCount: this.#stepper.stepCount,
      skippedSteps: this.#stepper.skippedSteps,
      options: saveSettings(this.#global),
      ...(this.mode === undefined ? {} : { mode: this.mode }),
      paramGroups: groups.map(saveGroup),
      state: Object.fromEntries(states),
    };
  }

  /**
   * Loads the result of {@link stateDict}, all or nothing: step counts, all options, and copies of the state arrays. The
   * resumed run then continues bit for bit. Options that the dict lacks are turned off, and a warning names them. A dict
   * of version 0.1 has no `options`; then the optimizer keeps its own.
   *
   * Schedules are not saved. Where the saved optimizer had a Schedule, this one must have one, too, and keeps it.
   *
   * @param options `schedules: 'keep'`: where only one side has a Schedule, this optimizer keeps its value.
   * @throws TypeError for another class, version, names or types, for a Schedule on one side only, or while a stepAsync is
   *   pending. RangeError for other lengths or counts. Nothing has changed then.
   */
  loadStateDict(dict: StateDict, options: LoadOptions = {}): void {
    this.#stepper.checkNoPendingStep();
    this.#stepper.exclusively(() => this.#load(dict, options));
  }

  #load(dict: StateDict, options: LoadOptions): void {
    const who = `${this.#name}.loadStateDict`;
    const keep = keepsSchedules(who, options);
    const store = this.#store;
    const { groups, params, scalarNames } = store;
    const keys = params.map(({ key }) => key);
    const frame = checkFrame(who, dict, this.#name, groups.length, keys);
    const global = loadOptions(who, this.#global, frame.options, keep);
    const hasEma = global.set['ema'] !== undefined;
    const mode = checkMode(who, this.mode, frame.mode);
    const changes = groups.map(
      (group, g) => [group, loadGroup(who, `paramGroups[${g}]`, group, frame.paramGroups[g], keep)] as const,
    );
    for (const param of params) store.checkState(param);
    store.checkChanges(changes);
    const kernels = new Map<ParamState, string>();
    const loads = changes.flatMap(([group, settings]) =>
      store.paramsOf(group).map((param) => {
        const saved = frame.state[param.key];
        const kernel = store.kernelOf(settings, param, (name) => Object.hasOwn(saved ?? {}, name));
        kernels.set(param, kernel);
        const arrays = store.arraysOf(param, kernel, hasEma, store.sideOf(settings, param, kernel));
        return loadParam(who, param, scalarNames, arrays, saved, this.#declaration.startsLate);
      }),
    );
    const apply = store.prepare(changes, hasEma, (_, param) => kernels.get(param) as string);

    warnOfOptionsOff(who, this.#global, global);
    apply();
    this.#global.adopt(global);
    store.forgetGrads(); // with zeroGrads they may no longer overlap
    for (const load of loads) load();
    if (mode !== undefined) this.loadMode(mode);
    this.#stepper.stepCount = frame.stepCount;
    this.#stepper.skippedSteps = frame.skippedSteps;
  }

  /** Frees the state. You can call it twice. Afterwards, every other method throws a TypeError. */
  dispose(): void {
    if (this.#stepper.isDisposed) return;
    this.#stepper.checkNotBusy();
    this.#stepper.checkNoPendingStep();
    this.#stepper.dispose();
    this.#views = [];
    this.#emaViews = [];
    this.#emaParams = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class, the counts, every option that is set, and the params of each group by name and shape. */
  toString(): string {
    this.#stepper.checkNotDisposed();
    const { stepCount, skippedSteps } = this.#stepper;
    const counts = { stepCount, skippedSteps: skippedSteps || undefined, mode: this.mode };
    const options = Object.entries(this.#global.set).filter(([, value]) => value !== false);
    const groups = this.#store.groups.map((group, g) => [
      `group ${g}`,
      { ...group.settings.set, ...this.#store.printed(group) },
    ]);
    return print(this.#name, { ...counts, ...Object.fromEntries([...options, ...groups]) });
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    return this.#stepper.isDisposed ? `${this.#name} (disposed)` : this.toString();
  }

  // ---- Inside ----

  get #name(): string {
    return this.#declaration.name;
  }

  /** The methods of the subclass as closures, which V8 calls faster than bound functions. */
  #formula(): Formula {
    type Options = ResolvedOf<D>;
    return {
      constants: (options, t, scalars, kernel) => this.constants(options as Options, t, scalars, kernel),
      inputs: (groups, t, scalars, loss) => this.inputs(groups as readonly Options[], t, scalars, loss),
      scalarsAfter: (options, t, scalars) => this.scalarsAfter(options as Options, t, scalars),
      kernel: (options, shape, has) => this.kernel(options as Options, shape, has),
      initial: (name, options, t) => this.initial(name, options as Options, t),
      conflict: (options) => this.conflict(options as Options),
      start: this.start?.bind(this) as Formula['start'],
    };
  }

  /** Adds groups to the store, with the objects that users see of them. */
  #add(found: readonly FoundGroup[], pathOf: (index: number) => string): void {
    const added = this.#store.add(found, pathOf);
    const views: Optimizer<D, P>['paramGroups'] = added.map((group) =>
      group.view(this.#name, this.#table, (name, value) =>
        this.#stepper.assign(() => this.#prepareChange([group], name, value)()),
      ),
    );
    this.#views = Object.freeze([...this.#views, ...views]);
  }

  /** Prepares a new value of one option of some groups. Returns a function that applies it. @throws TypeError, RangeError */
  #prepareChange(groups: readonly Group[], name: string, value: unknown): () => void {
    const changes = groups.map((group) => {
      const settings = group.settings.with({ [name]: group.settings.check(name, value) });
      return [group, settings] as const;
    });
    const apply = this.#store.prepare(changes);
    if (changes.some(([group, settings]) => this.#store.changesKernel(group, settings)))
      this.#stepper.checkNoPendingStep();
    return apply;
  }

  /** Copies each param that has no update so far into an average of it. A pending step may write to both, so not then. */
  #showParams(averageOf: (param: ParamState) => Block): void {
    if (this.#stepper.hasPendingStep) return;
    for (const param of this.#store.params)
      if (param.step === 0 && lengthOf(param.data) === param.length) averageOf(param).write(param.data);
  }

  #assemble(arrayOf: (param: ParamState) => Float32Array): ArraysOf<P> {
    const { structure, params } = this.#store;
    return structure.assemble(params.map(arrayOf)) as ArraysOf<P>;
  }

  /** What the functions of `internals.ts` work on. @internal */
  static internals(optimizer: Optimizer): { stepper: Stepper; store: ParamStore; options: Settings } {
    return { stepper: optimizer.#stepper, store: optimizer.#store, options: optimizer.#global };
  }
}
