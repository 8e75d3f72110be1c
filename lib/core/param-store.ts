import { rangeError, show, typeError } from '../check/errors.js';
import { checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, lengthOf } from '../check/typed-array.js';
import type { Block } from '../engine/block.js';
import { allocateStepConstants, type Engine, Pass, type Plan, type StepConstants } from '../engine/engine.js';
import type { KernelDeclaration } from '../engine/kernel.js';
import { ConstantsRows } from './constants-rows.js';
import { type Declaration, type Formula, optimizerHyperParameters } from './declaration.js';
import { disjoint, type Extent, extentOf } from './extents.js';
import { checkBlocks, hasRowsAsBlocks, inLayout, needsShape, planned, sideOf, stateLength } from './layouts.js';
import { Group } from './param-group.js';
import { hasArray, ParamState } from './param-state.js';
import type { FoundGroup, Tensor } from './params.js';
import { printedParams } from './print.js';
import { type HyperParameterTable, optionsIn, Settings } from './settings.js';
import { checkDivided, type Divider, type Shard } from './shard.js';
import { blockMaker } from './state-block.js';
import { Structure } from './structure.js';

/** The place of the moving average among the blocks of a param: behind all but the fifth of COCOB, Shampoo and SOAP. */
const emaPlace = 4;

/**
 * The groups and params of one optimizer, their state arrays, and the native plan that addresses them. Every change is
 * all or nothing: it allocates and checks first, and then assigns.
 */
export class ParamStore {
  readonly name: string;
  readonly engine: Engine;
  groups: readonly Group[] = [];
  /** The params of all groups, in group order. */
  params: readonly ParamState[] = [];
  /** The tree that gradients come in. */
  structure!: Structure;
  /** The memory of the params, in address order. */
  extents: readonly Extent[] = [];
  plan!: Plan;
  /** The memory that the plan reads in each step. */
  stepConstants!: StepConstants;
  constantsRows!: ConstantsRows;
  readonly #declaration: Declaration;
  readonly #formula: Formula;
  readonly #global: Settings;
  /** Hyper-parameters of a group, and the values that groups inherit. */
  readonly #table: HyperParameterTable;
  readonly #defaults: Readonly<Record<string, unknown>>;
  /** Divides params of which this optimizer updates a part. */
  readonly #divide: Divider | undefined;

  constructor(
    declaration: Declaration,
    engine: Engine,
    formula: Formula,
    global: Settings,
    group: {
      readonly table: HyperParameterTable;
      readonly defaults: Readonly<Record<string, unknown>>;
      readonly divide: Divider | undefined;
    },
  ) {
    this.name = declaration.name;
    this.engine = engine;
    this.#declaration = declaration;
    this.#formula = formula;
    this.#global = global;
    this.#table = group.table;
    this.#defaults = group.defaults;
    this.#divide = group.divide;
  }

  /** Names of the numbers that each param keeps beside its step count. */
  get scalarNames(): readonly string[] {
    return Object.keys(this.#declaration.scalars ?? {});
  }

  paramsOf(group: Group): readonly ParamState[] {
    return this.params.slice(group.begin, group.end);
  }

  // ---- Adding and replacing params ----

  /**
   * Adds groups, all or nothing. Returns the new groups.
   * @param pathOf How errors name a group, by its index among `found`.
   * @throws TypeError, RangeError for options or params that are not allowed; nothing is added then
   */
  add(found: readonly FoundGroup[], pathOf: (index: number) => string): readonly Group[] {
    const tensors = [...this.params, ...found.flatMap((group) => group.tensors)];
    const structure = new Structure(this.name, tensors);
    const added = this.#checkGroups(found, pathOf);
    // Reading groups and options may have run user code, so every array is checked again.
    for (const { path, data } of tensors) checkFloat32(this.name, path, data);
    const extents = disjoint(
      this.name,
      tensors.map(({ data, path }) => extentOf(this.engine, data, path)),
    );
    const shards = this.#shardsOf(added);
    const params = [...this.params, ...added.flatMap((group) => this.#createParams(group, shards))];
    const groups = [...this.groups, ...added];
    const stepConstants = this.#allocateStepConstants(params.length);
    const plan = this.engine.createPlan(params.length, stepConstants);
    for (const group of groups) for (let i = group.begin; i < group.end; i++) this.#register(plan, i, params[i]!);

    this.groups = groups;
    this.params = params;
    this.structure = structure;
    this.extents = extents;
    this.stepConstants = stepConstants;
    this.plan = plan;
    const all = { groups, params };
    this.#global.hasChanged = true; // nothing is written to the new constants
    this.constantsRows = new ConstantsRows(this.#declaration, this.#formula, this.#global, all, stepConstants);
    return added;
  }

  /**
   * Replaces the array of a param by another of the same length, and keeps the param's state.
   * @throws TypeError, RangeError
   */
  rebind(key: string | number, array: Float32Array): void {
    const index = this.params.findIndex((param) => param.key === key);
    const param = this.params[index];
    if (param === undefined) throw typeError(this.name, 'key', show(key), 'the name of a param');
    checkFloat32(this.name, param.path, array);
    checkLength(this.name, param.path, array, param.length);
    this.checkState(param);
    param.data = array;
    this.#register(this.plan, index, param);
    // Another param's gradient may overlap the new array.
    this.forgetGrads();
    // A detached array has no address, so only the others are compared.
    const attached = this.params.filter(({ data, length }) => lengthOf(data) === length);
    this.extents = disjoint(
      this.name,
      attached.map(({ data, path }) => extentOf(this.engine, data, path)),
    );
  }

  /** Has the gradients of the next step checked again. */
  forgetGrads(): void {
    for (const param of this.params) param.setGrad(null);
  }

  /** Makes the state of each param that of a new optimizer. Its moving average starts again with its next update. */
  resetState(): void {
    const scalars = Object.values(this.#declaration.scalars ?? {});
    for (const group of this.groups) {
      for (const param of this.paramsOf(group)) {
        param.step = 0;
        param.scalars = scalars;
        for (const [name, block] of param.state) block.fill(this.#formula.initial(name, group.settings.resolved, 0));
      }
    }
    this.constantsRows.forget();
  }

  /** Releases all memory. */
  release(): void {
    this.plan.free();
    for (const { state, ema } of this.params) for (const block of [...state.values(), ema]) block?.free();
    this.groups = [];
    this.params = [];
    this.extents = [];
    this.structure = undefined as unknown as Structure; // it holds the gradients of the last step
    this.plan = undefined as unknown as Plan;
    this.stepConstants = undefined as unknown as StepConstants;
    this.constantsRows = undefined as unknown as ConstantsRows;
  }

  // ---- Settings of a group ----

  /** Whether the params have moving averages. */
  get hasEma(): boolean {
    return this.#global.set['ema'] !== undefined;
  }

  /** Whether settings select another kernel for a param of the group: its state arrays change then. */
  changesKernel(group: Group, settings: Settings): boolean {
    return this.paramsOf(group).some((param) => this.#changesState(param, this.kernelOf(settings, param), settings));
  }

  /** Refuses new settings that contradict each other or do not fit the params. @throws TypeError, RangeError */
  checkChanges(changes: readonly (readonly [Group, Settings])[]): void {
    for (const [group, settings] of changes) {
      this.#checkConflict(settings);
      if (this.changesKernel(group, settings)) this.#checkShapes(settings, group.tensors);
    }
  }

  /**
   * Prepares new settings of some groups. Allocates the state that they need. Returns a function that applies the change.
   * It throws only if user code has taken a param away since, before it changes anything.
   * @param hasEma Whether the params have moving averages after the change.
   * @param kernelOf The kernel of a param after the change.
   * @throws TypeError, RangeError for settings that contradict each other, do not fit the params, or need too much memory
   */
  prepare(
    changes: readonly (readonly [Group, Settings])[],
    hasEma = this.hasEma,
    kernelOf = (settings: Settings, param: ParamState): string => this.kernelOf(settings, param),
  ): () => void {
    this.checkChanges(changes);
    const initial = Object.values(this.#declaration.scalars ?? {});
    const updates = changes.flatMap(([group, settings]) => {
      if (this.paramsOf(group).some((param) => this.#changesState(param, kernelOf(settings, param), settings)))
        this.checkParams();
      return this.paramsOf(group).flatMap((param, i) => {
        const kernel = kernelOf(settings, param);
        checkDivided(this.name, param, kernel, this.#declaration.kernels[kernel]!);
        const side = this.sideOf(settings, param, kernel);
        if (kernel === param.kernel && side === param.side && hasEma === (param.ema !== null)) return [];
        const state = this.#createState(param, kernel, settings, side);
        const ema = hasEma ? (param.ema ?? this.#copyOf(param.data)) : null;
        const startsAnew = [...state].some(([name, block]) => param.state.get(name) !== block);
        const scalars = startsAnew ? initial : param.scalars;
        return [{ index: group.begin + i, param, kernel, side, state, ema, scalars }];
      });
    });
    return () => {
      if (updates.length > 0) this.checkParams(); // user code may have run since
      for (const [group, settings] of changes) group.settings.adopt(settings);
      this.constantsRows.forget();
      for (const { index, param, kernel, side, state, ema, scalars } of updates) {
        const old = [...param.state.values(), param.ema];
        param.kernel = kernel;
        param.side = side;
        param.state = state;
        param.ema = ema;
        param.scalars = scalars;
        this.#register(this.plan, index, param);
        const kept = [...state.values(), ema];
        for (const block of old) if (!kept.includes(block)) block?.free();
      }
    };
  }

  /**
   * The kernel that settings select for a param.
   * @param has Whether the param has a state array of this name already.
   */
  kernelOf(settings: Settings, tensor: Tensor, has = hasArray(tensor)): string {
    const { shape } = (tensor instanceof ParamState && tensor.shard?.whole) || tensor;
    return this.#formula.kernel(settings.resolved, shape, has);
  }

  /** Whether params share numbers, which need sums over all of them. */
  get hasSharedNumbers(): boolean {
    return (this.#declaration.scope ?? 'param') !== 'param'; // an option may select it later
  }

  /** The kernel of a param. */
  declarationOf({ kernel }: ParamState): KernelDeclaration {
    return this.#declaration.kernels[kernel]!;
  }

  /** `ParamState.side` with these settings: the rows or columns that a kernel decomposes are no more than the param has. */
  sideOf(settings: Settings, param: ParamState, kernel = param.kernel): number {
    return sideOf(this.#declaration, kernel, settings.resolved, param);
  }

  /** Why a param takes no sparse gradients: its class takes none, or an option selects a kernel that measures first. */
  denseOnlyBecause(param: ParamState): string | undefined {
    const { kernel } = param;
    const { norms, numbers } = this.#declaration.kernels[kernel]!;
    if (hasRowsAsBlocks(this.#declaration.kernels[kernel]!, param)) return undefined;
    if (this.#declaration.denseOnly !== undefined) return this.#declaration.denseOnly;
    return norms === undefined && numbers === undefined ? undefined : `${kernel} needs the whole gradient`;
  }

  /** Names and lengths of the arrays that a param keeps under a kernel, the moving average included. */
  arraysOf(
    param: ParamState,
    kernel = param.kernel,
    hasEma = param.ema !== null,
    side = param.side,
  ): readonly (readonly [name: string, length: number])[] {
    const names = this.#declaration.kernels[kernel]!.state;
    const state = names.map(
      (name) => [name, stateLength(this.#declaration.kernels[kernel]!, name, param, side)] as const,
    );
    return hasEma ? [...state, ['ema', param.length]] : state;
  }

  /** The method that updates a param, in a class that has several. */
  methodOf({ kernel }: ParamState): string | undefined {
    return this.#declaration.methods?.[kernel];
  }

  /** The params of a group by name and shape, in a class with several methods under the name of theirs. */
  printed(group: Group): Readonly<Record<string, unknown>> {
    const methods = new Set(Object.values(this.#declaration.methods ?? {}));
    if (methods.size === 0) return printedParams(group.tensors);
    const params = this.paramsOf(group);
    const blocks = [...methods].map(
      (method) => [method, params.filter((param) => this.methodOf(param) === method)] as const,
    );
    return Object.assign(
      {},
      ...blocks.flatMap(([method, some]) => (some.length > 0 ? [printedParams(some, method)] : [])),
    );
  }

  // ---- A step ----

  /** Refuses params that were detached or resized. @throws TypeError, RangeError */
  checkParams(): void {
    const { params } = this;
    for (let i = 0; i < params.length; i++) {
      const param = params[i]!;
      if (lengthOf(param.data) !== param.length) checkLength(this.name, param.path, param.data, param.length);
      this.checkState(param);
    }
  }

  /** Refuses state that user code took away through `emaParams` or `averagedParams`. @throws TypeError */
  checkState({ state, ema, path }: ParamState): void {
    for (const block of state.values()) block.check(this.name, `averagedParams of ${path}`);
    ema?.check(this.name, `emaParams of ${path}`);
  }

  // ---- Inside ----

  #changesState(param: ParamState, kernel: string, settings: Settings): boolean {
    return kernel !== param.kernel || this.sideOf(settings, param, kernel) !== param.side;
  }

  #checkGroups(found: readonly FoundGroup[], pathOf: (index: number) => string): Group[] {
    const known = Object.keys(this.#table);
    let begin = this.params.length;
    return found.map(({ given, tensors, options }, g) => {
      for (const name of Object.keys(optimizerHyperParameters)) {
        if (name in options)
          throw typeError(
            this.name,
            `${pathOf(g)}.${name}`,
            'an option of the optimizer as a whole',
            'it beside the params, not in a group',
          );
      }
      checkOptions(this.name, options, known);
      const settings = new Settings(this.name, this.#table, { ...this.#defaults, ...optionsIn(options, this.#table) });
      this.#checkConflict(settings);
      this.#checkShapes(settings, tensors);
      const group = new Group(given, tensors, begin, settings);
      begin = group.end;
      return group;
    });
  }

  #checkConflict(settings: Settings): void {
    const conflict = this.#formula.conflict(settings.resolved);
    if (conflict !== undefined) throw rangeError(this.name, ...conflict);
  }

  /** Refuses a param without a shape if its kernel keeps one number a matrix row or column, and one that blocks do not divide. */
  #checkShapes(settings: Settings, tensors: readonly Tensor[]): void {
    checkBlocks(this.#declaration, settings.resolved, tensors);
    const flat = tensors.find(
      (tensor) =>
        tensor.shape === undefined && needsShape(this.#declaration.kernels[this.kernelOf(settings, tensor)]!.layout),
    );
    if (flat !== undefined)
      throw typeError(
        this.name,
        flat.path,
        'a param without a shape',
        'one with rows: { data, shape: [rows, columns] }',
      );
  }

  /** The shards of the params of new groups, if this optimizer updates parts of them. */
  #shardsOf(added: readonly Group[]): ReadonlyMap<Tensor, Shard> {
    if (this.#divide === undefined) return new Map();
    const tensors = added.flatMap(({ settings, tensors }) =>
      tensors.map((tensor) => ({ tensor, kernel: this.#declaration.kernels[this.kernelOf(settings, tensor)]! })),
    );
    const before = this.params.map(({ shard }) => shard as Shard);
    return new Map(this.#divide(before, tensors).map((shard) => [shard.whole, shard]));
  }

  #createParams({ settings, tensors }: Group, shards: ReadonlyMap<Tensor, Shard>): ParamState[] {
    const scalars = Object.values(this.#declaration.scalars ?? {});
    return tensors.map((tensor) => {
      const kernel = this.kernelOf(settings, tensor);
      const shard = shards.get(tensor);
      const { part } = shard ?? { part: tensor };
      const param = new ParamState(part, scalars, this.hasEma ? this.#copyOf(part.data) : null, kernel, 0, shard);
      param.side = this.sideOf(settings, param);
      param.state = this.#createState(param, kernel, settings, param.side);
      return param;
    });
  }

  /**
   * The state of a param under a kernel: the blocks that it has already, and new ones. A block with one number per
   * matrix row starts with the means of the rows that it had, and one with elements with the numbers of their rows.
   */
  #createState(param: ParamState, kernel: string, settings: Settings, side: number): Map<string, Block> {
    const { state: names, layout } = this.#declaration.kernels[kernel]!;
    const create = blockMaker(this.engine, this.#declaration, this.#global.set['stateDtype'], param, kernel);
    return new Map(
      names.map((name, place) => {
        const length = stateLength(this.#declaration.kernels[kernel]!, name, param, side);
        const old = layout?.[name] === 'own' && side !== param.side ? undefined : param.state.get(name);
        if (old?.length === length) return [name, old];
        const block = create(length, place);
        const start = this.#formula.initial(name, settings.resolved, param.step);
        if (old !== undefined && param.length > 0)
          block.write(inLayout(old, param.length / old.length, param.length / length));
        else if (start !== 0) block.fill(start);
        return [name, block];
      }),
    );
  }

  #copyOf(data: Float32Array): Block {
    const copy = this.engine.createBlock(lengthOf(data), data, emaPlace);
    copy.write(data);
    return copy;
  }

  #allocateStepConstants(count: number): StepConstants {
    const kernels = Object.values(this.#declaration.kernels);
    const constants = Math.max(...kernels.map(({ constants }) => constants.length));
    const numbers = Math.max(...kernels.map(({ numbers }) => numbers?.names.length ?? 0));
    return allocateStepConstants(this.engine, count, Pass.length + constants, numbers);
  }

  #register(plan: Plan, index: number, param: ParamState): void {
    const declaration = this.#declaration.kernels[param.kernel]!;
    const state = declaration.state.map((name) => param.state.get(name) as Block);
    param.setGrad(null); // setTensor forgets the gradient
    param.plannedLength = -1;
    const [columns, side] = planned(declaration, param, param.side);
    plan.setTensor(index, param.kernel, declaration, param.data, state, param.ema, columns, side);
    // A length-tracking array may have grown. Every plan that steps has the length of the param.
    checkLength(this.name, param.path, param.data, param.length);
    param.plannedLength = param.length;
  }
}
