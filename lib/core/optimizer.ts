import { engine as currentEngine } from './backend.js';
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
import { type Blocks, Control, type Engine, Pass, type Plan } from './engine.js';
import { rangeError, show, typeError } from './errors.js';
import { disjoint, type Extent, extentOf } from './extents.js';
import { type Given, Gradients } from './gradients.js';
import { checkSettled, InFlight } from './in-flight.js';
import { isPinned, pinned } from './memory.js';
import { Group, type ParamGroup } from './param-group.js';
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
import { Slot } from './slot.js';
import { checkFrame, loadGroup, loadParam, type StateDict, saveGroup, saveParam } from './state-dict.js';
import { checkFloat32, checkLength, checkNumber, checkOptions, lengthOf } from './validate.js';

/** What a step may be told. */
export interface StepOptions {
  /** Multiplies every gradient before anything else, such as 1 / lossScale. Default 1. */
  readonly gradScale?: number | undefined;
}

/** What a step on another thread may be told. */
export interface StepAsyncOptions extends StepOptions {
  /** Takes the step back as long as it has not begun. */
  readonly signal?: AbortSignal | undefined;
}

/** What a step reports. */
export interface StepResult {
  /** False if `skipNonFinite` skipped the step. */
  readonly applied: boolean;
  /** The L2 norm of all gradients after `gradScale` and before clipping; with `clipNorm`, `skipNonFinite` or `gradNorm`. */
  readonly gradNorm?: number;
}

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
  readonly #table: Readonly<Record<string, HyperParameter>>;
  /** The options that groups inherit, as given. */
  readonly #defaults: Readonly<Record<string, unknown>>;
  readonly #global: Settings;
  #groups: readonly Group[] = [];
  #views: readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] = [];
  #slots: readonly Slot[] = [];
  #emaParams: Arrays | undefined;
  #extents: readonly Extent[] = [];
  #blocks!: Blocks;
  #plan!: Plan;
  #gradients!: Gradients;
  /** Filled anew in each step: the gradients as read, before they are looked at. */
  readonly #given: Given[] = [];
  readonly #inFlight = new InFlight();
  #watcher: Watcher | undefined;
  #stepCount = 0;
  #skippedSteps = 0;
  #disposed = false;
  /** Set while the user's code may run in the middle of a call (a schedule, a getter): nothing may change meanwhile. */
  #busy = false;

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
    for (const [name, kernel] of Object.entries(declaration.kernels)) this.#engine.confirm(name, kernel);
    // What the groups leave open must hold by itself, but for what has no default.
    for (const [name, value] of Object.entries(this.#defaults))
      new Settings(declaration.name, { [name]: this.#table[name] as HyperParameter }, { [name]: value });
    this.#add(collect(declaration.name, params), 'params');
  }

  // ---- What a class brings ----

  /** The constants of the group's kernel in a param's `t`-th update, in float64, in the order of its declaration. */
  protected abstract constants(options: ResolvedOf<D>, t: number, scalars: readonly number[]): readonly number[];

  /** The kernel that the options choose; a number that a schedule will give reads NaN. */
  protected kernel(_options: ResolvedOf<D>): string {
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

  // ---- Reading and setting ----

  /** The param groups: sealed objects; reading a hyper-parameter gives what was set, assigning holds from the next step. */
  get paramGroups(): readonly ParamGroup<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>[] {
    this.#checkAlive();
    return this.#views;
  }

  /** The learning rate that group 0 uses in the next step; setting it sets all groups. */
  get lr(): number {
    this.#checkAlive();
    return (this.#groups[0] as Group).settings.at('lr', this.#stepCount + 1);
  }

  set lr(value: number | Schedule) {
    this.#checkIdle();
    const changes = this.#groups.map((group) => this.#changed(group, 'lr', value));
    for (const [i, group] of this.#groups.entries()) this.#apply(group, changes[i] as Settings);
  }

  /** The steps that were applied. Schedules are asked for stepCount + 1. */
  get stepCount(): number {
    this.#checkAlive();
    return this.#stepCount;
  }

  /** The steps that `skipNonFinite` skipped. */
  get skippedSteps(): number {
    this.#checkAlive();
    return this.#skippedSteps;
  }

  /**
   * The moving averages of the params, with the option `ema`: live arrays, in the structure in which gradients are given.
   * @throws TypeError without the option `ema`
   */
  get emaParams(): Arrays {
    this.#checkAlive();
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
    this.#checkLanded();
    this.#exclusively(() => {
      if (typeof group !== 'object' || group === null || !('params' in group))
        throw typeError(this.#name, 'group', show(group), 'a group { params, … }');
      this.#checkParams();
      this.#add(collect(this.#name, [group], this.#slots.length, this.#groups.length));
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
    this.#checkIdle();
    this.#checkLanded();
    this.#busy = true;
    try {
      // All that may run the user's code comes first: nothing that is checked can change behind a check.
      const gradScale = options === undefined ? 1 : this.#gradScaleOf('step', options, ['gradScale']);
      this.#resolve();
      this.#gradients.read(grads, this.#given);
      this.#prepare(this.#given, gradScale);
    } finally {
      this.#busy = false;
    }
    this.#plan.step();
    return this.#finish(this.#given);
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
  stepAsync(grads: Grads, options?: StepAsyncOptions): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      this.#checkIdle();
      let gradScale = 1;
      let signal: AbortSignal | undefined;
      const given: Given[] = [];
      this.#exclusively(() => {
        if (options !== undefined) {
          gradScale = this.#gradScaleOf('stepAsync', options, ['gradScale', 'signal']);
          signal = options.signal;
          if (signal !== undefined && !(signal instanceof AbortSignal))
            throw typeError(`${this.#name}.stepAsync`, 'signal', show(signal), 'an AbortSignal');
        }
        this.#gradients.read(grads, given);
        this.#gradients.checkAhead(given);
        this.#checkParams();
        for (const { path, data, ema } of this.#slots) {
          if (!isPinned(this.#engine, data)) throw typeError(this.#name, path, show(data), pinned);
          if (ema !== null && !isPinned(this.#engine, ema))
            throw typeError(this.#name, `emaParams of ${path}`, show(ema), pinned);
        }
        checkSettled(this.#name, this.#extents, this.#inFlight.params);
      });
      if (signal?.aborted) throw signal.reason;
      const begin = (done: () => void): void => {
        this.#exclusively(() => {
          this.#resolve();
          this.#prepare(given, gradScale);
        });
        this.#plan.stepAsync(() => {
          let result: StepResult | undefined;
          let refused: unknown;
          try {
            result = this.#finish(given);
          } catch (error) {
            refused = error;
          }
          done();
          if (result === undefined) reject(refused);
          else resolve(result);
        });
      };
      this.#inFlight.add(this.#extents, { begin, refuse: reject }, signal);
    });
  }

  #gradScaleOf(method: string, options: StepOptions, known: readonly string[]): number {
    checkOptions(`${this.#name}.${method}`, options, known);
    const given: unknown = options.gradScale;
    return given === undefined ? 1 : checkNumber(this.#name, 'gradScale', given);
  }

  /** Asks the schedules for the next step. */
  #resolve(): void {
    const next = this.#stepCount + 1;
    this.#global.resolve(next);
    for (const group of this.#groups) group.settings.resolve(next);
  }

  /** Checks all memory of a step, then writes what the plan is told of it. */
  #prepare(given: readonly Given[], gradScale: number): void {
    const { control, rowOf } = this.#blocks;
    const { clipNorm, skipNonFinite, zeroGrads, gradNorm, flushDenormals } = this.#global.now as {
      clipNorm?: number;
      skipNonFinite: boolean;
      zeroGrads: boolean;
      gradNorm: boolean;
      flushDenormals: boolean;
    };
    this.#gradients.register(given, this.#plan, rowOf, this.#extents, zeroGrads);
    this.#checkParams();
    checkSettled(this.#name, this.#extents, this.#inFlight.params);
    control[Control.gradScale] = gradScale;
    control[Control.maxNorm] = clipNorm ?? Number.POSITIVE_INFINITY;
    control[Control.measureNorm] = clipNorm !== undefined || skipNonFinite || gradNorm ? 1 : 0;
    control[Control.skipNonFinite] = skipNonFinite ? 1 : 0;
    control[Control.zeroGrads] = zeroGrads ? 1 : 0;
    control[Control.flushDenormals] = flushDenormals ? 1 : 0;
    this.#startParams();
    this.#writeRows();
  }

  /** Counts a step that the plan has done, and reports it. @throws RangeError if the plan has refused it */
  #finish(given: readonly Given[]): StepResult {
    const { control } = this.#blocks;
    const bad = control[Control.badTensor]!;
    if (bad >= 0) throw this.#gradients.badRow(bad, control[Control.badRow]!, given);
    const applied = control[Control.applied] !== 0;
    if (applied) this.#advance();
    else this.#skippedSteps++;
    return control[Control.measureNorm] === 0 ? { applied } : { applied, gradNorm: control[Control.gradNorm]! };
  }

  /** Refuses params whose memory is gone or has changed its size. */
  #checkParams(): void {
    const slots = this.#slots;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (lengthOf(slot.data) !== slot.length) checkLength(this.#name, slot.path, slot.data, slot.length);
      this.#checkEma(slot);
    }
  }

  #checkEma({ ema, length, path }: Slot): void {
    if (ema !== null && lengthOf(ema) !== length) checkLength(this.#name, `emaParams of ${path}`, ema, length);
  }

  #startParams(): void {
    if (this.start === undefined && this.#watcher === undefined) return;
    for (const group of this.#groups) {
      for (let i = group.begin; i < group.end; i++) {
        const slot = this.#slots[i]!;
        if (slot.step > 0 || this.#blocks.rowOf[i]! < 0) continue;
        this.#watcher?.started(slot);
        this.start?.(group.settings.now as ResolvedOf<D>, slot.data, Object.fromEntries(slot.arrays));
      }
    }
  }

  /** Writes the constants of this step: a row for each run of params of a group that have the same t and scalars. */
  #writeRows(): void {
    const { rows, stride, rowOf } = this.#blocks;
    const ema = this.#global.now['ema'] as number | undefined;
    let row = -1;
    for (const group of this.#groups) {
      const now = group.settings.now;
      group.share(this.#declaration.decay);
      let last: Slot | undefined;
      let scalars: readonly number[] = [];
      for (let i = group.begin; i < group.end; i++) {
        if (rowOf[i]! < 0) continue;
        const slot = this.#slots[i]!;
        if (last === undefined || last.step !== slot.step || !sameNumbers(last.scalars, slot.scalars)) {
          row++;
          const t = slot.step + 1;
          const at = row * stride;
          rows[at + Pass.gradScale] = group.gradScale;
          rows[at + Pass.clipValue] = group.clipValue;
          rows[at + Pass.l2] = group.l2;
          rows[at + Pass.keep] = group.keep;
          rows[at + Pass.emaRate] = ema === undefined ? 0 : 1 - ema;
          rows[at + Pass.emaStart] = t === 1 ? 1 : 0;
          const constants = this.constants(now as ResolvedOf<D>, t, slot.scalars);
          for (let c = 0; c < constants.length; c++) rows[at + Pass.length + c] = constants[c] as number;
          scalars = slot.scalars.length > 0 ? this.scalarsAfter(now as ResolvedOf<D>, t, slot.scalars) : slot.scalars;
          last = slot;
        }
        rowOf[i] = row;
        slot.nextScalars = scalars;
      }
    }
  }

  /** Counts an applied step. */
  #advance(): void {
    const { rowOf } = this.#blocks;
    const slots = this.#slots;
    this.#stepCount++;
    for (let i = 0; i < slots.length; i++) {
      if (rowOf[i]! < 0) continue;
      const slot = slots[i]!;
      slot.step++;
      slot.scalars = slot.nextScalars;
    }
    this.#watcher?.applied(this.#stepCount, slots);
  }

  // ---- Saving and loading ----

  /** A copy of everything that a resumed run needs, apart from the params: plain data that survives `structuredClone`. */
  stateDict(): StateDict {
    this.#checkAlive();
    this.#checkLanded();
    for (const slot of this.#slots) this.#checkEma(slot);
    const states = this.#groups.flatMap((group) =>
      this.#slotsOf(group).map((slot) => [
        slot.key,
        saveParam(slot, this.#scalarNames, this.#arrayNames(group.kernel)),
      ]),
    );
    return {
      version: 1,
      optimizer: this.#name,
      stepCount: this.#stepCount,
      skippedSteps: this.#skippedSteps,
      paramGroups: this.#groups.map(saveGroup),
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
    this.#checkIdle();
    this.#checkLanded();
    this.#exclusively(() => this.#load(dict));
  }

  #load(dict: StateDict): void {
    const who = `${this.#name}.loadStateDict`;
    const { stepCount, skippedSteps, paramGroups, state } = checkFrame(
      who,
      dict,
      this.#name,
      this.#groups.length,
      this.#slots.map(({ key }) => key),
    );
    const changes = this.#groups.map((group, g) => {
      const settings = loadGroup(who, `paramGroups[${g}]`, group, paramGroups[g]);
      this.#checkFits(group, settings);
      return settings;
    });
    const loads = this.#groups.flatMap((group, g) => {
      const kernel = this.kernel(changes[g]!.now as ResolvedOf<D>);
      return this.#slotsOf(group).map((slot) => {
        const arrays = this.#arrayNames(kernel).map(
          (name) => [name, name === 'ema' ? slot.length : this.#stateLength(kernel, slot)] as const,
        );
        return loadParam(who, slot, this.#scalarNames, arrays, state[slot.key]);
      });
    });
    for (const slot of this.#slots) this.#checkEma(slot);

    for (const [g, group] of this.#groups.entries()) this.#apply(group, changes[g] as Settings);
    for (const load of loads) load();
    this.#stepCount = stepCount;
    this.#skippedSteps = skippedSteps;
  }

  /** Lets the state go. Twice is fine; every other method throws a TypeError from then on. */
  dispose(): void {
    if (this.#disposed) return;
    this.#checkIdle();
    this.#checkLanded();
    this.#disposed = true;
    this.#groups = [];
    this.#views = [];
    this.#slots = [];
    this.#extents = [];
    this.#emaParams = undefined;
    this.#given.length = 0;
    this.#blocks = undefined as unknown as Blocks;
    this.#plan = undefined as unknown as Plan;
    this.#gradients = undefined as unknown as Gradients;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The class and its groups' hyper-parameters, as PyTorch prints them. */
  toString(): string {
    this.#checkAlive();
    const groups = this.#groups.map(({ settings, tensors }, g) => {
      const elements = tensors.reduce((sum, { data }) => sum + lengthOf(data), 0);
      const lines = Object.entries(settings.set).map(([name, value]) => `    ${name}: ${shown(value)}`);
      return [`  group ${g}: ${tensors.length} param(s), ${elements} elements`, ...lines].join('\n');
    });
    return `${this.#name} (\n${groups.join('\n')}\n)`;
  }

  // ---- Inside ----

  get #name(): string {
    return this.#declaration.name;
  }

  #checkAlive(): void {
    if (this.#disposed) throw typeError(this.#name, 'this', 'a disposed optimizer', 'one in use');
  }

  #checkIdle(): void {
    this.#checkAlive();
    if (this.#busy)
      throw typeError(this.#name, 'this', 'an optimizer in the middle of a call', 'a call after that one');
  }

  #checkLanded(): void {
    if (!this.#inFlight.isEmpty)
      throw typeError(this.#name, 'this', 'an optimizer with a step in flight', 'that its promise is awaited first');
  }

  /** Runs a change that may run the user's code (getters, proxies), which must not change the optimizer meanwhile. */
  #exclusively(change: () => void): void {
    this.#checkIdle();
    this.#busy = true;
    try {
      change();
    } finally {
      this.#busy = false;
    }
  }

  #slotsOf(group: Group): readonly Slot[] {
    return this.#slots.slice(group.begin, group.end);
  }

  /** The names of what a param keeps under a kernel, the moving average included. */
  #arrayNames(kernel: string): readonly string[] {
    const { state } = this.#declaration.kernels[kernel]!;
    return this.#global.set['ema'] === undefined ? state : [...state, 'ema'];
  }

  /** The length of a param's state arrays under a kernel: its elements, or its rows. */
  #stateLength(kernel: string, { shape, length }: Slot): number {
    return this.#declaration.kernels[kernel]!.accumulate === undefined ? length : (shape as readonly number[])[0]!;
  }

  get #scalarNames(): readonly string[] {
    return Object.keys(this.#declaration.scalars ?? {});
  }

  #checkConflict(settings: Settings): void {
    const conflict = this.conflict(settings.now as ResolvedOf<D>);
    if (conflict !== undefined) throw rangeError(this.#name, ...conflict);
  }

  /** Refuses settings that do not go together, or that need another kernel while memory is gone. */
  #checkFits(group: Group, settings: Settings): void {
    this.#checkConflict(settings);
    const kernel = this.kernel(settings.now as ResolvedOf<D>);
    if (kernel === group.kernel) return;
    this.#checkLanded();
    this.#checkShapes(kernel, group.tensors);
    this.#checkParams();
  }

  /** Refuses params without a shape where a kernel's state is one number a row. */
  #checkShapes(kernel: string, tensors: readonly Tensor[]): void {
    if (this.#declaration.kernels[kernel]!.accumulate === undefined) return;
    const flat = tensors.find(({ shape }) => shape === undefined);
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
    const kernel = this.kernel(group.settings.now as ResolvedOf<D>);
    if (kernel === group.kernel) return;
    group.kernel = kernel;
    for (let i = group.begin; i < group.end; i++) this.#setTensor(this.#plan, i, group, this.#slots[i]!);
  }

  /** Tells a plan of a tensor; makes the state arrays that its kernel wants and lets go of others, which no dict holds. */
  #setTensor(plan: Plan, index: number, group: Group, slot: Slot): void {
    const declaration = this.#declaration.kernels[group.kernel]!;
    const length = this.#stateLength(group.kernel, slot);
    const state = declaration.state.map((name) => {
      let array = slot.arrays.get(name);
      if (array === undefined || lengthOf(array) !== length) {
        array = this.#engine.allocate(length);
        const start = this.initial(name, group.settings.now as ResolvedOf<D>);
        if (start !== 0) array.fill(start);
        slot.arrays.set(name, array);
      }
      return array;
    });
    for (const name of slot.arrays.keys()) if (!declaration.state.includes(name)) slot.arrays.delete(name);
    slot.grad = null; // a tensor that is set anew has no gradient yet
    plan.setTensor(index, group.kernel, declaration, slot.data, state, slot.ema, slot.shape?.[1] ?? 0);
  }

  /** Adds groups, all or nothing. */
  #add(found: readonly FoundGroup[], from?: 'params'): void {
    const known = Object.keys(this.#table);
    const tensors = [...this.#slots, ...found.flatMap((group) => group.tensors)];
    const structure = structureOf(this.#name, tensors);
    let begin = this.#slots.length;
    const added = found.map(({ given, tensors, options }, g) => {
      const path = from === undefined ? `paramGroups[${this.#groups.length + g}]` : `params[${g}]`;
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
      const kernel = this.kernel(settings.now as ResolvedOf<D>);
      this.#checkShapes(kernel, tensors);
      const group = new Group(given, tensors, begin, settings, kernel);
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
    const slots = tensors.map((tensor): Slot => {
      if (tensor instanceof Slot) return tensor;
      const ema = hasEma ? this.#engine.allocate(lengthOf(tensor.data)) : null;
      ema?.set(tensor.data);
      return new Slot(tensor, scalars, ema);
    });
    const groups = [...this.#groups, ...added];
    const widest = Math.max(...Object.values(this.#declaration.kernels).map(({ constants }) => constants.length));
    const stride = Pass.length + widest;
    const blocks = {
      control: new Float64Array(Control.length),
      rows: new Float32Array(slots.length * stride),
      stride,
      rowOf: new Int32Array(slots.length),
    };
    const plan = this.#engine.createPlan(slots.length, blocks);
    for (const group of groups)
      for (let i = group.begin; i < group.end; i++) this.#setTensor(plan, i, group, slots[i]!);

    this.#slots = slots;
    this.#groups = groups;
    const views = added.map((group) =>
      group.view<SettingsFrom<D['hyperParameters'] & typeof commonHyperParameters>>(this.#table, (name, value) =>
        this.#assign(group, name, value),
      ),
    );
    this.#views = Object.freeze([...this.#views, ...views]);
    this.#extents = extents;
    this.#blocks = blocks;
    this.#plan = plan;
    this.#gradients = new Gradients(this.#name, this.#declaration.denseOnly, this.#engine, structure, slots);
    this.#given.length = slots.length;
    if (hasEma)
      this.#emaParams = assemble(
        structure,
        slots,
        slots.map((slot) => slot.ema as Float32Array),
      );
  }

  #assign(group: Group, name: string, value: unknown): void {
    this.#exclusively(() => this.#apply(group, this.#changed(group, name, value)));
  }

  /** See {@link watch}. @internal */
  static watch(optimizer: Optimizer, watcher: Watcher): readonly Slot[] {
    optimizer.#checkAlive();
    if (optimizer.#watcher !== undefined && optimizer.#watcher !== watcher)
      throw typeError(watcher.name, 'optimizer', `one that a ${optimizer.#watcher.name} has`, 'one of its own');
    optimizer.#watcher = watcher;
    return optimizer.#slots;
  }

  /** See {@link rebind}. @internal */
  static rebind(optimizer: Optimizer, key: string | number, array: Float32Array): void {
    optimizer.#checkAlive();
    optimizer.#checkLanded();
    const index = optimizer.#slots.findIndex((slot) => slot.key === key);
    const slot = optimizer.#slots[index];
    if (slot === undefined) throw typeError(optimizer.#name, 'key', show(key), 'the name of a param');
    checkFloat32(optimizer.#name, slot.path, array);
    checkLength(optimizer.#name, slot.path, array, slot.length);
    slot.data = array;
    const group = optimizer.#groups.find(({ begin, end }) => begin <= index && index < end) as Group;
    optimizer.#setTensor(optimizer.#plan, index, group, slot);
    // The addresses of arrays whose memory is gone mean nothing; those that remain are checked as before.
    const alive = optimizer.#slots.filter(({ data, length }) => lengthOf(data) === length);
    optimizer.#extents = disjoint(
      optimizer.#name,
      alive.map(({ data, path }) => extentOf(optimizer.#engine, data, path)),
    );
  }
}

/** What a wrapper is told of the steps of the optimizer inside, those on other threads too, in their order. */
export interface Watcher {
  readonly name: string;
  /** Before a param's first update; again if that was skipped. */
  started(slot: Slot): void;
  /** After an applied step and before the next one begins. */
  applied(stepCount: number, slots: readonly Slot[]): void;
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

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function shown(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'schedule' : `schedule ${value.name}`;
  return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : String(value);
}
