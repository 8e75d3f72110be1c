import { rangeError, show, typeError } from '../check/errors.js';
import { refuseMembers } from '../check/members.js';
import { checkBoolean, checkFloat, checkNumber, checkOneOf, checkOptions } from '../check/options.js';
import { lengthOf } from '../check/typed-array.js';
import { type RankPart, rankPart } from '../checkpoint/world.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { optionsOf, refuseOptionsOf } from '../core/internals.js';
import { Optimizer } from '../core/optimizer.js';
import { inspect, print } from '../core/print.js';
import type { Schedule } from '../core/schedule.js';
import type { LoadOptions } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import { Structure } from '../core/structure.js';
import { bytesOf } from '../engine/bfloat16-state.js';
import type { Caller } from './callers.js';
import { CompressedSums } from './compressed-sums.js';
import { type Facts, optionFacts } from './differences.js';
import type { Ranges } from './divide.js';
import { type Exchanged, exchange } from './exchange.js';
import { methodsOfDdp, refuseMethods, refuseOptions } from './foreign-names.js';
import { LocalGradients, type WholeParam } from './local-gradients.js';
import { microBatchesOfRank } from './micro-batches.js';
import { OwnWorld } from './own-world.js';
import type { Kept, ResidualStates } from './residuals.js';
import type { World } from './world.js';

/** Options of `DataParallel.create` and `ShardedOptimizer.create`. */
export interface DistributionOptions {
  /**
   * The micro-batches of a step over all ranks: the number of ranks times a power of two; in a world of one any number.
   * Each rank brings up to `microBatches / size`. Then every number of ranks that divides it gives the same bits, unless `compression` rounds. Default:
   * any number a rank.
   */
  readonly microBatches?: number | undefined;
  /** The most bytes that travel at once, in [64, ∞); default 25e6. It does not change the result. */
  readonly bucketBytes?: number | undefined;
  /**
   * Whether all ranks get rank 0's params and state, default true. With false they must be alike, and their hashes are
   * compared.
   */
  readonly broadcast?: boolean | undefined;
  /**
   * `'bf16'`: dense gradients and their sums travel as bfloat16, half the bytes. What rounding loses is added in the next step;
   * it is state, and is saved. Sparse gradients travel as they are. Default `'none'`. With it the result
   * depends on the number of ranks, with `microBatches` too.
   */
  readonly compression?: 'none' | 'bf16' | undefined;
}

/** Options of a micro-batch. */
export interface MicroBatchOptions {
  /** The number of examples, where the gradient is a mean over them. [0, ∞), default 1. Gradients of weight 0 add nothing. */
  readonly weight?: number | undefined;
  /** For an optimizer that needs it, and only for one: the loss of the micro-batch, where the gradient is that of a mean. */
  readonly loss?: number | undefined;
}

/** Options of {@link DistributedOptimizer.step}. */
export interface DistributedStepOptions extends MicroBatchOptions {
  /** Multiplies the gradient. The same on every rank. Default 1. */
  readonly gradScale?: number | undefined;
}

/** The result of a step: the same on every rank. */
export interface DistributedResult extends StepResult {
  /** True if every weight was 0: no rank has examples left. Then nothing has changed. */
  readonly finished?: true;
  /** Of a skipped step: the ranks whose own gradients or loss are not finite. None, if only their sum is not. */
  readonly nonFiniteRanks?: readonly number[];
  /**
   * True once the launcher has told any rank to end, as `world.interrupted` does. Ranks see that signal at different steps;
   * this is the same on all, so all can save a checkpoint and return.
   */
  readonly interrupted?: true;
}

const ownOptions = ['microBatches', 'bucketBytes', 'broadcast', 'compression'];

/** Checks the options of a distributed optimizer. Returns them as facts, too. @throws TypeError, RangeError */
export function checkDistribution(
  who: string,
  world: World,
  options: DistributionOptions,
): {
  readonly most: number;
  readonly bucketBytes: number;
  readonly broadcast: boolean;
  readonly compressed: CompressedSums | undefined;
  readonly facts: Facts;
} {
  if (typeof (world as World | undefined)?.allGatherObject !== 'function')
    throw typeError(who, 'world', show(world), 'a World', 'await init()');
  refuseOptions(who, options, { findunusedparameters: 'none: give null for a param without a gradient' });
  checkOptions(who, options, ownOptions);
  const { microBatches, bucketBytes = 25e6, broadcast = true, compression = 'none' } = options as DistributionOptions;
  const most =
    microBatches === undefined ? Number.POSITIVE_INFINITY : microBatchesOfRank(who, microBatches, world.size);
  checkNumber(who, 'bucketBytes', bucketBytes, '[64, inf)');
  checkBoolean(who, 'broadcast', broadcast);
  const isCompressed = checkOneOf(who, 'compression', compression, ['none', 'bf16']) === 'bf16';
  if (isCompressed && !(world instanceof OwnWorld))
    throw typeError(who, 'world', show(world), 'the World that init() returned, with compression "bf16"');
  const compressed = isCompressed ? new CompressedSums(world as OwnWorld, bucketBytes) : undefined;
  const facts = Object.entries({ microBatches, bucketBytes, broadcast, compression });
  return { most, bucketBytes, broadcast, compressed, facts: facts.map(([name, value]) => [name, String(value)]) };
}

const ofCall = ['an optimizer with a step under way', 'to await the pending step() first'] as const;
const ofCheckpoint = [
  'an optimizer whose checkpoint is being saved or loaded',
  'to await saveCheckpoint() or loadCheckpoint() first',
] as const;

/** What a distributed optimizer is made of. */
export interface Made<O> {
  readonly who: string;
  readonly optimizer: O;
  /** The optimizer that has the state: the one inside a Lookahead. */
  readonly base: Optimizer;
  readonly world: World;
  readonly bucketBytes: number;
  /** The most micro-batches of a rank in a step. */
  readonly most: number;
  /** Undefined where gradients travel as they are. */
  readonly compressed: CompressedSums | undefined;
}

/**
 * Base class of the optimizers of many ranks. It sums the micro-batches of a rank, and has the members of the optimizer that
 * it wraps; `step`, `stateDict` and `loadStateDict` are asynchronous, and every rank must call them.
 *
 * @typeParam O The class of the optimizer.
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export abstract class DistributedOptimizer<O extends AnyOptimizer<any, any, any> = AnyOptimizer> {
  readonly #made: Made<O>;
  #structure!: Structure;
  #local!: LocalGradients;
  #params!: readonly WholeParam[];
  /** Why no call is allowed now, and what to do. */
  #busy: readonly [given: string, expected: string] | undefined = undefined;

  protected constructor(made: Made<O>) {
    this.#made = made;
    refuseOptionsOf(this, made.who, made.base);
    refuseMembers(this, made.who, ownOptions, (option) => `${made.who}.create(…, { ${option} }), which alone sets it`);
    this.#layOut();
    this.#hold();
  }

  // ---- What a subclass defines ----

  /** Sums the dense gradients of these params over the ranks, in their memory. */
  protected abstract sumDense(params: readonly number[]): Promise<unknown>;

  /** The elements of a param whose sum each rank computes, where gradients are compressed. */
  protected abstract rangesOf(param: number, length: number): Ranges;

  /** Whether every rank needs all sums, or those of its range only. */
  protected abstract readonly needsAllSums: boolean;

  /** Takes the step with the gradients of all ranks, and their mean loss. */
  protected abstract apply(sums: Exchanged, gradScale: number): Promise<StepResult>;

  /** What this rank saves of the state, and how it loads its part. */
  protected abstract rankState(): Pick<RankPart, 'stateDict' | 'loadStateDict' | 'placeOf' | 'owned'>;

  // ---- For a subclass ----

  /** What it is made of. */
  protected get made(): Made<O> {
    return this.#made;
  }

  /** The gradients of this rank. */
  protected get local(): LocalGradients {
    return this.#local;
  }

  /** Whether each step of the optimizer needs the loss. */
  protected get needsLoss(): boolean {
    return Optimizer.internals(this.#made.base).stepper.needsLoss;
  }

  /** Puts one gradient a param into the structure of the params. */
  protected assemble(grads: readonly unknown[]): Parameters<O['step']>[0] {
    return this.#structure.assemble(grads as Float32Array[]) as Parameters<O['step']>[0];
  }

  /** What rounding has lost on all ranks, as a part of a state. Every rank must call it. */
  protected async residuals(): Promise<{ readonly residuals?: ResidualStates }> {
    const { compressed } = this.#made;
    return compressed === undefined ? {} : { residuals: await compressed.residuals.gather(this.#kept) };
  }

  /** Loads a state of all ranks, with the residuals in it, all or nothing: `load` loads the rest. @throws TypeError, RangeError */
  protected loadWithResiduals(who: string, dict: unknown, load: () => void): void {
    const loadResiduals = this.#made.compressed?.residuals.check(who, dict, this.#kept);
    load();
    loadResiduals?.();
  }

  /** Remembers the state and the residuals. Returns what puts them back. */
  protected remember(): () => void {
    const { optimizer, compressed } = this.#made;
    const before = optimizer.stateDict();
    const putBackResiduals = compressed?.residuals.remember();
    return () => {
      optimizer.loadStateDict(before);
      putBackResiduals?.();
    };
  }

  get #kept(): Kept[] {
    return this.#params.map(({ key, length }, i) => ({ key: String(key), length, ranges: this.rangesOf(i, length) }));
  }

  /** Runs what no other call may interrupt. */
  protected async exclusively<T>(action: () => Promise<T>): Promise<T> {
    this.checkNotPending();
    this.#actFor('');
    this.#busy = ofCall;
    try {
      return await action();
    } finally {
      this.#busy = undefined;
    }
  }

  /** Errors of the collectives to come name this method. */
  #actFor(method: '' | '.step'): void {
    const { who, world } = this.#made;
    if (world instanceof OwnWorld) world.caller = `${who}${method}` as Caller;
  }

  protected checkNotPending(): void {
    if (this.#busy !== undefined) throw typeError(this.#made.who, 'this', ...this.#busy);
  }

  /** For `saveCheckpoint` and `loadCheckpoint` with `world`. @internal */
  get [rankPart](): RankPart {
    const { who, optimizer, compressed } = this.#made;
    const part = this.rankState();
    const kept = compressed === undefined ? [] : this.#kept;
    return {
      ...part,
      className: optimizer.constructor.name,
      stepCount: this.stepCount,
      ...(compressed === undefined
        ? {}
        : {
            stateDict: () => ({ ...(part.stateDict() as object), residuals: compressed.residuals.own() }),
            loadStateDict: (whole, options) =>
              this.loadWithResiduals(`${who}.loadStateDict`, whole, () => part.loadStateDict(whole, options)),
            placeOf: (path, length) =>
              path[0] === 'residuals' && path.length === 4
                ? compressed.residuals.placeOf(path, kept)
                : part.placeOf(path, length),
          }),
      remember: () => this.remember(),
      hold: () => {
        this.checkNotPending();
        this.#busy = ofCheckpoint;
        return () => {
          this.#busy = undefined;
        };
      },
    };
  }

  // ---- Members of the optimizer ----

  /**
   * The optimizer inside. Its own `step`, which throws inside the wrapper, works again until the next step of the wrapper: it steps
   * on this rank alone.
   */
  unwrap(): O {
    this.#release();
    return this.#made.optimizer;
  }

  /** Param groups of the optimizer. Change an option on every rank alike. */
  get paramGroups(): O['paramGroups'] {
    return this.#made.optimizer.paramGroups;
  }

  /** Learning rate of the optimizer. */
  get lr(): number {
    return this.#made.optimizer.lr;
  }

  set lr(value: number | Schedule) {
    this.#made.optimizer.lr = value;
  }

  /** Applied steps. */
  get stepCount(): number {
    return this.#made.optimizer.stepCount;
  }

  /** Skipped steps. */
  get skippedSteps(): number {
    return this.#made.optimizer.skippedSteps;
  }

  /** Moving averages of the params. */
  get emaParams(): O['emaParams'] {
    return this.#made.optimizer.emaParams;
  }

  /**
   * Bytes of the optimizer's state on this rank: state arrays, moving averages of the params, and what compression has lost, as
   * soon as a param has had a dense gradient.
   */
  get stateBytes(): number {
    const residuals = this.#made.compressed?.residuals.bytes ?? 0;
    const { params } = Optimizer.internals(this.#made.base).store;
    const blocks = params.flatMap(({ state, ema }) => [...state.values(), ...(ema === null ? [] : [ema])]);
    return blocks.reduce((sum, block) => sum + bytesOf(block), residuals);
  }

  /**
   * Adds a param group to the optimizer, on every rank alike.
   *
   * @throws as the optimizer does; TypeError between `accumulate` and `step`
   */
  addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.checkNotPending();
    if (this.#local.sum.count > 0)
      throw typeError(this.#made.who, 'addParamGroup', 'micro-batches without a step', 'a call of step() first');
    this.#made.optimizer.addParamGroup(group);
    this.#layOut();
  }

  /** As `registerStepPreHook` of the optimizer. The hook gets Σ weight·g over all ranks. */
  registerStepPreHook(hook: Parameters<O['registerStepPreHook']>[0]): () => void {
    return this.#made.optimizer.registerStepPreHook(hook);
  }

  /** As `registerStepPostHook` of the optimizer. */
  registerStepPostHook(hook: Parameters<O['registerStepPostHook']>[0]): () => void {
    return this.#made.optimizer.registerStepPostHook(hook);
  }

  /**
   * Adds a micro-batch to the next step, without communication. The gradients are copied.
   *
   * @param grads As for the optimizer's `step`.
   * @param options `weight` (1, [0, ∞)), `loss`: {@link MicroBatchOptions}
   * @throws TypeError, RangeError for gradients that do not fit, a weight out of range, or more micro-batches than
   *   `microBatches / size`. Nothing is added then.
   */
  accumulate(grads: Parameters<O['step']>[0], options: MicroBatchOptions = {}): void {
    this.checkNotPending();
    checkOptions(this.#made.who, options, this.#known(['weight']));
    this.#add(grads, options);
  }

  /**
   * Takes a step with the gradients of all ranks. Every rank must call it.
   *
   * @param grads The gradients of the last micro-batch, as for the optimizer's `step`. They are copied. `null`, for a rank
   *   that has no examples left, adds nothing.
   * @param options `weight` (1, [0, ∞)), `gradScale` (1), `loss`: {@link DistributedStepOptions}
   * @returns Whether the step was applied, and the norm of the global gradient if it was measured. `finished` if every weight
   *   was 0. `interrupted` once the launcher wants the job to end.
   * @throws (rejects) TypeError, RangeError as {@link accumulate}; RangeError, the same on every rank, where options,
   *   `gradScale` or the kinds of gradients differ; and the errors of the world. Params and state have not changed then. Once
   *   ranks have begun to talk, a step that rejects drops the micro-batches.
   */
  async step(grads: Parameters<O['step']>[0] | null, options: DistributedStepOptions = {}): Promise<DistributedResult> {
    this.checkNotPending();
    if (grads === undefined)
      throw typeError(
        this.#made.who,
        'grads',
        'undefined',
        'gradients, or null to step with what accumulate() has added',
      );
    checkOptions(this.#made.who, options, this.#known(['weight', 'gradScale']));
    const { weight, gradScale = 1, loss } = options as DistributedStepOptions;
    checkFloat(this.#made.who, 'gradScale', gradScale);
    const facts = optionFacts(this.#made.base);
    if (grads !== null) this.#add(grads, { weight, loss });
    this.#actFor('.step');
    this.#busy = ofCall;
    try {
      return await this.#step(gradScale, facts);
    } finally {
      this.#local.sum.reset();
      this.#busy = undefined;
    }
  }

  async #step(gradScale: number, options: Facts): Promise<DistributedResult> {
    const { who, world, base } = this.#made;
    const { stepCount } = this;
    const maySkip = optionsOf(base)['skipNonFinite'] === true;
    const step = { gradScale, stepCount, options, maySkip };
    try {
      const sums = await exchange(who, world, this.#local, step, (...given) => this.#sum(...given));
      const end = sums.interrupted ? ({ interrupted: true } as const) : {};
      if (sums.weight === 0) return { applied: false, finished: true, ...end };
      const mean = { ...sums, loss: sums.loss / sums.weight };
      this.#release();
      const result = await this.apply(mean, gradScale / sums.weight);
      return { ...result, ...(result.applied ? {} : { nonFiniteRanks: sums.nonFiniteRanks }), ...end };
    } finally {
      // A hook after the step may throw, but the step was applied then.
      if (this.stepCount > stepCount) this.#made.compressed?.commit();
      else this.#made.compressed?.drop();
      this.#hold();
    }
  }

  /** A step of the optimizer itself throws from now on: each rank would train alone, and nothing would say so. */
  #hold(): void {
    Optimizer.internals(this.#made.base).stepper.holder = this.#made.who;
  }

  #release(): void {
    Optimizer.internals(this.#made.base).stepper.holder = undefined;
  }

  /** Sums the dense gradients of these params. The step multiplies them by a factor. */
  #sum(params: readonly number[], factor: number): Promise<unknown> {
    const { compressed } = this.#made;
    if (compressed === undefined) return this.sumDense(params);
    const kept = this.#kept;
    const all = params.map((param) => ({ ...kept[param]!, array: this.#local.buckets.of(param) }));
    return compressed.sum(all, factor, this.needsAllSums);
  }

  /** The state of the optimizer, in the form of its class. Every rank must call it. */
  abstract stateDict(): Promise<ReturnType<O['stateDict']> | undefined>;

  /** Loads a state of the optimizer's class, all or nothing. Every rank must call it. */
  abstract loadStateDict(dict: Parameters<O['loadStateDict']>[0], options?: LoadOptions): Promise<void>;

  /** Disposes of the optimizer. */
  dispose(): void {
    this.checkNotPending();
    this.#made.optimizer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The rank, the size of the world, and the optimizer. */
  toString(): string {
    this.#made.optimizer.stepCount; // throws after `dispose`
    return this[inspect]();
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    const { rank, size } = this.#made.world;
    return print(this.#made.who, { rank, size, optimizer: this.#made.optimizer });
  }

  #layOut(): void {
    const { who, base, bucketBytes } = this.#made;
    const { groups } = Optimizer.internals(base).store;
    // Those of the groups are whole. Those of the store are parts in a ShardedOptimizer.
    const params = groups.flatMap(({ tensors }) =>
      tensors.map((tensor) => ({ ...tensor, length: lengthOf(tensor.data) })),
    );
    this.#params = params;
    this.#structure = new Structure(who, params);
    this.#local = new LocalGradients(who, this.#structure, params, bucketBytes);
  }

  #add(grads: unknown, { weight = 1, loss }: { readonly weight?: unknown; readonly loss?: unknown }): void {
    const { who, most } = this.#made;
    const checked = checkFloat(who, 'weight', weight, '[0, inf)');
    // Whether it is finite is for the mean over all ranks to say, so that all of them get the same error.
    if (this.needsLoss && typeof loss !== 'number')
      throw typeError(who, 'loss', show(loss), 'a number: the loss of the micro-batch, whose gradient is grads');
    if (this.#local.sum.count >= most)
      throw rangeError(
        who,
        'grads',
        `micro-batch ${most + 1} of a step`,
        `at most ${most} a rank, as microBatches says`,
      );
    this.#local.add(grads, checked, this.needsLoss ? (loss as number) : 0);
  }

  /** The options that a call knows. */
  #known(names: readonly string[]): readonly string[] {
    return this.needsLoss ? [...names, 'loss'] : names;
  }
}

refuseMethods(DistributedOptimizer.prototype, undefined, methodsOfDdp);
