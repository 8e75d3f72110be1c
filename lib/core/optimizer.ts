import { rangeError, show, typeError } from '../check/errors.js';
import { checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../check/typed-array.js';
import { engine as currentEngine } from '../engine/backend.js';
import type { Engine, Plan } from '../engine/engine.js';
import {
  commonHyperParameters,
  type Declaration,
  type GroupOptionsOf,
  type HyperParameter,
  type OptionsOf,
  optimizerHyperParameters,
  type ResolvedOf,
  type SettingsFrom,
} from './declaration.js';
import { disjoint, extentOf } from './extents.js';
import { Group, type ParamGroup } from './param-group.js';
import { Slot } from './param-state.js';
import {
  type Arrays,
  assemble,
  collect,
  type FoundGroup,
  type Grads,
  type GroupOf,
  type Params,
  structureOf,
  type Tensor,
} from './params.js';
import type { Schedule } from './schedule.js';
import { Settings } from './settings.js';
import { checkFrame, loadGroup, loadParam, type StateDict, saveGroup, saveParam } from './state-dict.js';
import { checkSettled } from './step-queue.js';
import {
  type Formula,
  type StepAsyncOptions,
  type StepOptions,
  Stepper,
  type StepResult,
  stepConstantsFor,
  type Watcher,
} from './stepper.js';

/** The name of the method that node's console.log asks. */
export const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom');

const optimizerOptions = Object.keys(optimizerHyperParameters);

function optionsOf(
  source: Readonly<Record<string, unknown>>,
  table: Readonly<Record<string, HyperParameter>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(table)
      .filter((name) => source[name] !== undefined)
      .map((name) => [name, source[name]]),
  );
}

/**
 * What all optimizers share: params in groups, options and schedules, one native call a step, and state that can be
 * saved. A class adds its declaration, the constants of a step, and which of its kernels its options choose.
 *
 * @typeParam D The type of the declaration.
 */
export abstract class Optimizer<D extends Declaration = Declaration> {
  readonly #declaration: D;
  readonly #engine: Engine;
  readonly #stepper: Stepper;
  readonly #table: Readonly<Record<string, HyperParameter>>;
  /** The options that groups inherit, as given. */
  readonly #defaults: Readonly<Record<string, unknown>>;
  readonly #global: Settings;
  #views: readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] = [];
  #emaParams: Arrays | undefined;

  protected constructor(declaration: D, params: Params<GroupOptionsOf<D>>, options: OptionsOf<D> = {} as OptionsOf<D>) {
    this.#declaration = declaration;
    this.#table = { ...declaration.hyperParameters, ...commonHyperParameters };
    checkOptions(declaration.name, options, [...Object.keys(this.#table), ...optimizerOptions]);
    this.#defaults = optionsOf(options, this.#table);
    this.#global = new Settings(
      declaration.name,
      optimizerHyperParameters,
      optionsOf(options, optimizerHyperParameters),
    );
    this.#engine = currentEngine();
    this.#stepper = new Stepper(declaration, this.#engine, this.#global, {
      // Closures, which V8 calls sooner than what bind makes.
      constants: (now, t, scalars) => this.constants(now as ResolvedOf<D>, t, scalars),
      scalarsAfter: (now, t, scalars) => this.scalarsAfter(now as ResolvedOf<D>, t, scalars),
      start: this.start?.bind(this) as Formula['start'],
    });
    for (const [name, kernel] of Object.entries(declaration.kernels)) this.#engine.confirm(name, kernel);
    // What the groups leave open must hold by itself, but for what has no default.
    for (const [name, value] of Object.entries(this.#defaults))
      new Settings(declaration.name, { [name]: this.#table[name] as HyperParameter }, { [name]: value });
    this.#add(collect(declaration.name, params), 'params');
  }

  // ---- What a class brings ----

  /** The constants of the group's kernel in a param's `t`-th update, in float64, in the order of its declaration. */
  protected abstract constants(options: ResolvedOf<D>, t: number, scalars: readonly number[]): readonly number[];

  /** The kernel that the options choose for a param; a number that a schedule will give reads NaN. */
  protected kernel(_options: ResolvedOf<D>, _hasShape: boolean): string {
    return Object.keys(this.#declaration.kernels)[0] as string;
  }

  /** What one element of the state array `name` starts at. */
  protected initial(_name: string, _options: ResolvedOf<D>): number {
    return 0;
  }

  /** Fills the state that begins from the param or from a step's options: called before a param's first update. */
  protected start?(options: ResolvedOf<D>, param: Float32Array, state: Readonly<Record<string, Float32Array>>): void;

  /** The scalars after an update: a new list, or the same one if none has changed. */
  protected scalarsAfter(_options: ResolvedOf<D>, _t: number, scalars: readonly number[]): readonly number[] {
    return scalars;
  }

  /** Refuses options that do not go together: returns the argument, what was given and what is allowed. */
  protected conflict(
    _options: ResolvedOf<D>,
  ): readonly [argument: string, given: string, expected: string] | undefined {
    return undefined;
  }

  // ---- What a class's own members use ----

  /** The live arrays of the state `name`, in the structure in which gradients are given. */
  protected stateArrays(name: string): Arrays {
    this.#stepper.checkAlive();
    const { slots } = this.#stepper;
    const arrays = slots.map((slot) => slot.arrays.get(name) as Float32Array);
    return assemble(structureOf(this.#name, slots), slots, arrays);
  }

  /** Shows each param that was updated so far, with its state, to `visit`, which may write to both. */
  protected forEachParam(
    visit: (param: Float32Array, state: Readonly<Record<string, Float32Array>>, scalars: readonly number[]) => void,
  ): void {
    const stepper = this.#stepper;
    stepper.checkIdle();
    stepper.checkLanded();
    stepper.checkParams();
    checkSettled(this.#name, stepper.extents);
    for (const { step, data, arrays, scalars } of stepper.slots)
      if (step > 0) visit(data, Object.fromEntries(arrays), scalars);
  }

  // ---- Reading and setting ----

  /** The param groups: sealed objects; reading a hyper-parameter gives what was set, assigning holds from the next step. */
  get paramGroups(): readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] {
    this.#stepper.checkAlive();
    return this.#views;
  }

  /** The learning rate that group 0 uses in the next step; setting it sets all groups. */
  get lr(): number {
    this.#stepper.checkAlive();
    return (this.#stepper.groups[0] as Group).settings.at('lr', this.#stepper.stepCount + 1);
  }

  set lr(value: number | Schedule) {
    this.#stepper.checkIdle();
    const changes = this.#stepper.groups.map((group) => this.#changed(group, 'lr', value));
    for (const [i, group] of this.#stepper.groups.entries()) this.#apply(group, changes[i] as Settings);
  }

  /** The steps that were applied. Schedules are asked for stepCount + 1. */
  get stepCount(): number {
    this.#stepper.checkAlive();
    return this.#stepper.stepCount;
  }

  /** The steps that `skipNonFinite` skipped. */
  get skippedSteps(): number {
    this.#stepper.checkAlive();
    return this.#stepper.skippedSteps;
  }

  /**
   * The moving averages of the params, with the option `ema`: live arrays, in the structure in which gradients are given.
   * @throws TypeError without the option `ema`
   */
  get emaParams(): Arrays {
    this.#stepper.checkAlive();
    if (this.#emaParams === undefined)
      throw typeError(this.#name, 'emaParams', 'not kept', 'the option ema, such as { ema: 0.999 }');
    return this.#emaParams;
  }

  /**
   * Adds params, with options of their own where they differ.
   *
   * @param group `{ params, …options }`; names must be new, and all params of an optimizer are named or none is.
   * @throws TypeError, RangeError; nothing is added then
   */
  addParamGroup(group: GroupOf<GroupOptionsOf<D>>): void {
    this.#stepper.checkLanded();
    this.#stepper.exclusively(() => {
      if (typeof group !== 'object' || group === null || !('params' in group))
        throw typeError(this.#name, 'group', show(group), 'a group { params, … }');
      this.#stepper.checkParams();
      this.#add(collect(this.#name, [group], this.#stepper.slots.length, this.#stepper.groups.length));
    });
  }

  // ---- The step ----

  /**
   * Updates the params in place, in one pass over memory.
   *
   * Order: gradScale → norm and clipNorm → clipValue → maximize → L2 decay → the formula → zeroGrads, ema.
   *
   * @param grads One gradient a param, in the structure of the params: a `Float32Array` of the param's length; a
   *   {@link SparseGrad} `{ rows, values }`, which leaves all other rows and their state as they are; or `null` to leave
   *   the param and its state as they are. Not changed unless `zeroGrads`.
   * @returns Whether the step was applied, and the gradients' norm where it was measured.
   * @throws TypeError for a wrong structure, type, a detached buffer, or a step in flight; RangeError for a wrong length, a
   *   row that the param lacks, overlapping memory, or a schedule's value out of range. Nothing has changed then.
   */
  step(grads: Grads, options?: StepOptions): StepResult {
    return this.#stepper.step(grads, options);
  }

  /**
   * As {@link step}, on another thread: the event loop stays free. Steps that are asked for before the last one has ended
   * queue in order. Arguments are checked now; hyper-parameters are read when the step begins.
   *
   * While one is in flight, `step`, `stateDict`, `loadStateDict`, `addParamGroup`, `dispose` and a change of an option that
   * needs other state throw a TypeError, and so does a step of another optimizer on the same params. The params change
   * meanwhile: what reads them sees some elements before and some after the update.
   *
   * Without a native addon the step runs at once, on this thread.
   *
   * @param grads As for {@link step}. They, and the params, must lie in memory that stays in place: of `allocate(length)`, a
   *   SharedArrayBuffer or a WebAssembly.Memory. Their contents are read while the step runs.
   * @param options `gradScale` as for {@link step}; `signal` takes the step back as long as it has not begun.
   * @returns A promise of what {@link step} returns. It rejects with what {@link step} throws, a TypeError for memory
   *   that may be moved, or the signal's reason; nothing is thrown at once.
   * @example
   * ```ts
   * import { Adam, allocate } from 'schuss';
   * const w = allocate(1000), g = allocate(1000).fill(0.1);
   * const adam = new Adam(w);
   * const { applied } = await adam.stepAsync(g); // true
   * ```
   */
  async stepAsync(grads: Grads, options?: StepAsyncOptions): Promise<StepResult> {
    return this.#stepper.stepAsync(grads, options);
  }

  // ---- Saving and loading ----

  /** A copy of everything that a resumed run needs, apart from the params: plain data that survives `structuredClone`. */
  stateDict(): StateDict {
    this.#stepper.checkAlive();
    this.#stepper.checkLanded();
    for (const slot of this.#stepper.slots) this.#stepper.checkEma(slot);
    const states = this.#stepper.groups.flatMap((group) =>
      this.#slotsOf(group).map((slot) => [slot.key, saveParam(slot, this.#scalarNames, this.#arrayNames(slot.kernel))]),
    );
    return {
      version: 1,
      optimizer: this.#name,
      stepCount: this.#stepper.stepCount,
      skippedSteps: this.#stepper.skippedSteps,
      paramGroups: this.#stepper.groups.map(saveGroup),
      state: Object.fromEntries(states),
    };
  }

  /**
   * Takes over a state that {@link stateDict} made, all or nothing: counts, numeric options and flags, and the arrays,
   * which are copied. A live Schedule is kept.
   *
   * @throws TypeError for another class, version, names or types, or a step in flight; RangeError for other lengths or counts
   */
  loadStateDict(dict: StateDict): void {
    this.#stepper.checkIdle();
    this.#stepper.checkLanded();
    this.#stepper.exclusively(() => this.#load(dict));
  }

  #load(dict: StateDict): void {
    const who = `${this.#name}.loadStateDict`;
    const { stepCount, skippedSteps, paramGroups, state } = checkFrame(
      who,
      dict,
      this.#name,
      this.#stepper.groups.length,
      this.#stepper.slots.map(({ key }) => key),
    );
    const changes = this.#stepper.groups.map((group, g) => {
      const settings = loadGroup(who, `paramGroups[${g}]`, group, paramGroups[g]);
      this.#checkFits(group, settings);
      return settings;
    });
    const loads = this.#stepper.groups.flatMap((group, g) => {
      return this.#slotsOf(group).map((slot) => {
        const kernel = this.#kernelOf(changes[g] as Settings, slot);
        const arrays = this.#arrayNames(kernel).map((name) => [name, this.#stateLength(kernel, name, slot)] as const);
        return loadParam(who, slot, this.#scalarNames, arrays, state[slot.key]);
      });
    });
    for (const slot of this.#stepper.slots) this.#stepper.checkEma(slot);

    for (const [g, group] of this.#stepper.groups.entries()) this.#apply(group, changes[g] as Settings);
    for (const load of loads) load();
    this.#stepper.stepCount = stepCount;
    this.#stepper.skippedSteps = skippedSteps;
  }

  /** Lets the state go. Twice is fine; every other method throws a TypeError from then on. */
  dispose(): void {
    if (this.#stepper.isEnded) return;
    this.#stepper.checkIdle();
    this.#stepper.checkLanded();
    this.#stepper.end();
    this.#views = [];
    this.#emaParams = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class and its groups' hyper-parameters, as PyTorch prints them. */
  toString(): string {
    this.#stepper.checkAlive();
    const groups = this.#stepper.groups.map(({ settings, tensors }, g) => {
      const elements = tensors.reduce((sum, { data }) => sum + lengthOf(data), 0);
      const lines = Object.entries(settings.set).map(([name, value]) => `    ${name}: ${shown(value)}`);
      return [`  group ${g}: ${tensors.length} param(s), ${elements} elements`, ...lines].join('\n');
    });
    return `${this.#name} (\n${groups.join('\n')}\n)`;
  }

  /** What console.log shows: a disposed one must not throw there. @internal */
  [inspect](): string {
    return this.#stepper.isEnded ? `${this.#name} (disposed)` : this.toString();
  }

  // ---- Inside ----

  get #name(): string {
    return this.#declaration.name;
  }

  #slotsOf(group: Group): readonly Slot[] {
    return this.#stepper.slots.slice(group.begin, group.end);
  }

  /** The names of what a param keeps under a kernel, the moving average included. */
  #arrayNames(kernel: string): readonly string[] {
    const { state } = this.#declaration.kernels[kernel]!;
    return this.#global.set['ema'] === undefined ? state : [...state, 'ema'];
  }

  #kernelOf(settings: Settings, { shape }: Tensor): string {
    return this.kernel(settings.resolved as ResolvedOf<D>, shape !== undefined);
  }

  /** The length of a param's state array under a kernel: its elements, its rows or its columns. */
  #stateLength(kernel: string, name: string, { shape, length }: Slot): number {
    const layout = this.#declaration.kernels[kernel]!.layout?.[name];
    return layout === undefined ? length : (shape as readonly [number, number])[layout === 'row' ? 0 : 1];
  }

  get #scalarNames(): readonly string[] {
    return Object.keys(this.#declaration.scalars ?? {});
  }

  #checkConflict(settings: Settings): void {
    const conflict = this.conflict(settings.resolved as ResolvedOf<D>);
    if (conflict !== undefined) throw rangeError(this.#name, ...conflict);
  }

  /** Refuses settings that do not go together, or that need another kernel while memory is gone. */
  #checkFits(group: Group, settings: Settings): void {
    this.#checkConflict(settings);
    if (this.#slotsOf(group).every((slot) => this.#kernelOf(settings, slot) === slot.kernel)) return;
    this.#stepper.checkLanded();
    this.#checkShapes(settings, group.tensors);
    this.#stepper.checkParams();
  }

  /** Refuses params without a shape where a kernel's state is of rows or columns. */
  #checkShapes(settings: Settings, tensors: readonly Tensor[]): void {
    const flat = tensors.find(
      (tensor) =>
        tensor.shape === undefined && this.#declaration.kernels[this.#kernelOf(settings, tensor)]!.layout !== undefined,
    );
    if (flat !== undefined)
      throw typeError(
        this.#name,
        flat.path,
        'a param without a shape',
        'one with rows: { data, shape: [rows, columns] }',
      );
  }

  /** A group's settings with one value replaced, checked. */
  #changed(group: Group, name: string, value: unknown): Settings {
    const settings = group.settings.with({ [name]: group.settings.check(name, value) });
    this.#checkFits(group, settings);
    return settings;
  }

  #apply(group: Group, settings: Settings): void {
    group.settings.adopt(settings);
    for (let i = group.begin; i < group.end; i++) {
      const slot = this.#stepper.slots[i]!;
      const kernel = this.#kernelOf(group.settings, slot);
      if (kernel === slot.kernel) continue;
      slot.kernel = kernel;
      this.#setTensor(this.#stepper.plan, i, group, slot);
    }
  }

  /** Tells a plan of a tensor; makes the state arrays that its kernel wants and lets go of others, which no dict holds. */
  #setTensor(plan: Plan, index: number, group: Group, slot: Slot): void {
    const declaration = this.#declaration.kernels[slot.kernel]!;
    const state = declaration.state.map((name) => {
      const length = this.#stateLength(slot.kernel, name, slot);
      let array = slot.arrays.get(name);
      if (array === undefined || lengthOf(array) !== length) {
        array = this.#engine.allocate(length);
        const start = this.initial(name, group.settings.resolved as ResolvedOf<D>);
        if (start !== 0) array.fill(start);
        slot.arrays.set(name, array);
      }
      return array;
    });
    for (const name of slot.arrays.keys()) if (!declaration.state.includes(name)) slot.arrays.delete(name);
    slot.grad = null; // a tensor that is set anew has no gradient yet
    plan.setTensor(index, slot.kernel, declaration, slot.data, state, slot.ema, slot.shape?.[1] ?? 0);
  }

  /** Adds groups, all or nothing. */
  #add(found: readonly FoundGroup[], from?: 'params'): void {
    const known = Object.keys(this.#table);
    const tensors = [...this.#stepper.slots, ...found.flatMap((group) => group.tensors)];
    const structure = structureOf(this.#name, tensors);
    let begin = this.#stepper.slots.length;
    const added = found.map(({ given, tensors, options }, g) => {
      const path = from === undefined ? `paramGroups[${this.#stepper.groups.length + g}]` : `params[${g}]`;
      for (const name of optimizerOptions) {
        if (name in options)
          throw typeError(
            this.#name,
            `${path}.${name}`,
            'an option of the optimizer as a whole',
            'it beside the params, not in a group',
          );
      }
      checkOptions(this.#name, options, known);
      const settings = new Settings(this.#name, this.#table, { ...this.#defaults, ...optionsOf(options, this.#table) });
      this.#checkConflict(settings);
      this.#checkShapes(settings, tensors);
      const group = new Group(given, tensors, begin, settings);
      begin = group.end;
      return group;
    });
    // Reading groups and options may have run the user's code: the memory is looked at once more, after all of it.
    for (const { path, data } of tensors) checkFloat32(this.#name, path, data);
    const extents = disjoint(
      this.#name,
      tensors.map(({ data, path }) => extentOf(this.#engine, data, path)),
    );

    const hasEma = this.#global.set['ema'] !== undefined;
    const scalars = Object.values(this.#declaration.scalars ?? {});
    const made = added.flatMap(({ settings, tensors }) =>
      tensors.map((tensor) => {
        const ema = hasEma ? this.#engine.allocate(lengthOf(tensor.data)) : null;
        ema?.set(tensor.data);
        return new Slot(tensor, scalars, ema, this.#kernelOf(settings, tensor));
      }),
    );
    const slots = [...this.#stepper.slots, ...made];
    const groups = [...this.#stepper.groups, ...added];
    const widest = Math.max(...Object.values(this.#declaration.kernels).map(({ constants }) => constants.length));
    const blocks = stepConstantsFor(slots.length, widest);
    const plan = this.#engine.createPlan(slots.length, blocks);
    for (const group of groups)
      for (let i = group.begin; i < group.end; i++) this.#setTensor(plan, i, group, slots[i]!);

    this.#stepper.take(groups, slots, extents, structure, blocks, plan);
    const views = added.map((group) =>
      group.view<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>(this.#table, (name, value) =>
        this.#assign(group, name, value),
      ),
    );
    this.#views = Object.freeze([...this.#views, ...views]);
    if (hasEma)
      this.#emaParams = assemble(
        structure,
        slots,
        slots.map((slot) => slot.ema as Float32Array),
      );
  }

  #assign(group: Group, name: string, value: unknown): void {
    this.#stepper.exclusively(() => this.#apply(group, this.#changed(group, name, value)));
  }

  /** See {@link watch}. @internal */
  static watch(optimizer: Optimizer, watcher: Watcher): readonly Slot[] {
    optimizer.#stepper.checkAlive();
    optimizer.#stepper.checkLanded(); // it looks at the params
    if (optimizer.#stepper.watcher !== undefined && optimizer.#stepper.watcher !== watcher)
      throw typeError(watcher.name, 'optimizer', `one that a ${optimizer.#stepper.watcher.name} has`, 'one of its own');
    optimizer.#stepper.watcher = watcher;
    return optimizer.#stepper.slots;
  }

  /** See {@link rebind}. @internal */
  static rebind(optimizer: Optimizer, key: string | number, array: Float32Array): void {
    optimizer.#stepper.checkAlive();
    optimizer.#stepper.checkLanded();
    const index = optimizer.#stepper.slots.findIndex((slot) => slot.key === key);
    const slot = optimizer.#stepper.slots[index];
    if (slot === undefined) throw typeError(optimizer.#name, 'key', show(key), 'the name of a param');
    checkFloat32(optimizer.#name, slot.path, array);
    checkLength(optimizer.#name, slot.path, array, slot.length);
    slot.data = array;
    const group = optimizer.#stepper.groups.find(({ begin, end }) => begin <= index && index < end) as Group;
    optimizer.#setTensor(optimizer.#stepper.plan, index, group, slot);
    // The addresses of arrays whose memory is gone mean nothing; those that remain are checked as before.
    const alive = optimizer.#stepper.slots.filter(({ data, length }) => lengthOf(data) === length);
    optimizer.#stepper.extents = disjoint(
      optimizer.#name,
      alive.map(({ data, path }) => extentOf(optimizer.#engine, data, path)),
    );
  }
}

/** Tells a watcher of an optimizer's steps from now on, and returns the optimizer's params. @internal */
export function watch(optimizer: Optimizer, watcher: Watcher): readonly Slot[] {
  return Optimizer.watch(optimizer, watcher);
}

/**
 * Replaces a param's array by another of the same length and keeps its state: for memory that moved, such as a
 * WebAssembly heap that grew. @internal
 */
export function rebind(optimizer: Optimizer, key: string | number, array: Float32Array): void {
  Optimizer.rebind(optimizer, key, array);
}

function shown(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'schedule' : `schedule ${value.name}`;
  return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : String(value);
}
