import { rangeError, show, typeError } from '../check/errors.js';
import { checkBoolean, checkFloat, checkNumber, checkOptions } from '../check/options.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import { optionsOf } from '../core/internals.js';
import { Optimizer } from '../core/optimizer.js';
import { inspect, print } from '../core/print.js';
import type { Schedule } from '../core/schedule.js';
import type { LoadOptions } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import { Structure } from '../core/structure.js';
import { Lookahead } from '../optimizers/lookahead.js';
import { innerOptimizer } from '../training/param-groups.js';
import { checkAlike, type Facts, hashOf, optionFacts, paramFacts } from './differences.js';
import { exchange } from './exchange.js';
import { LocalGradients } from './local-gradients.js';
import { microBatchesOfRank } from './micro-batches.js';
import { compareState, shareState } from './share-state.js';
import type { World } from './world.js';

const who = 'DataParallel';

/** Options of {@link DataParallel.create}. */
export interface DataParallelOptions {
  /**
   * The micro-batches of a step over all ranks: the number of ranks times a power of two; in a world of one any number.
   * Each rank brings up to `microBatches / size`. Then every number of ranks that divides it gives the same bits. Default:
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
}

/** Options of a micro-batch. */
export interface MicroBatchOptions {
  /** The number of examples, where the gradient is a mean over them. [0, ∞), default 1. Gradients of weight 0 add nothing. */
  readonly weight?: number | undefined;
  /** For an optimizer that needs it, and only for one: the loss of the micro-batch, where the gradient is that of a mean. */
  readonly loss?: number | undefined;
}

/** Options of {@link DataParallel.step}. */
export interface DataParallelStepOptions extends MicroBatchOptions {
  /** Multiplies the gradient. The same on every rank. Default 1. */
  readonly gradScale?: number | undefined;
}

/** The result of a step: the same on every rank. */
export interface DataParallelResult extends StepResult {
  /** True if every weight was 0: no rank has examples left. Then nothing has changed. */
  readonly finished?: true;
  /** Of a skipped step: the ranks whose own gradients or loss are not finite. None, if only their sum is not. */
  readonly nonFiniteRanks?: readonly number[];
}

/**
 * Data-parallel training: every rank has all params, and each step takes the mean gradient over the batches of all ranks.
 *
 * ```
 * g ← Σ weight·g · gradScale / Σ weight,   over all ranks and micro-batches
 * loss ← Σ weight·loss / Σ weight,         for an optimizer that needs it, in float64
 * ```
 * The products are in float32, and the sums in the order of {@link World}. So clipping, `skipNonFinite` and `gradNorm` see
 * the global gradient, and every rank takes the same step.
 *
 * **The same bits on any number of ranks**: with the same `microBatches` and the parts of `shardBatches`, 1, 2, 4 and 8 ranks
 * have the same params to the bit, and so has one process with `new GradAccumulator(params, { order: 'tree' })`,
 * `add(grads, { weight })` for each part, and `step(sum.grads, { gradScale: 1 / sum.weight })`.
 *
 * A param whose gradient is `null` on every rank is left alone; if it is null on some, they count as zeros. Sparse gradients
 * are exchanged as rows.
 *
 * It has the members of the optimizer; `step`, `stateDict` and `loadStateDict` are asynchronous, and every rank must call
 * them. {@link create} makes one.
 *
 * @typeParam O The class of the optimizer.
 * @example
 * ```ts
 * import { AdamW } from 'schuss';
 * import { DataParallel, init, shardBatches } from 'schuss/distributed';
 *
 * const [w, grad] = [new Float32Array(1), new Float32Array(1)];
 * const world = await init();
 * const optimizer = await DataParallel.create(new AdamW(w, { lr: 0.1 }), world);
 * for (const [rows] of shardBatches(1000, world, { batch: 100, epoch: 0 })) {
 *   grad[0] = w[0] - 1; // the mean gradient over these rows
 *   await optimizer.step(grad, { weight: rows.length });
 * }
 * ```
 * @see PyTorch's `DistributedDataParallel`
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export class DataParallel<O extends AnyOptimizer<any, any, any> = AnyOptimizer> {
  readonly #optimizer: O;
  readonly #base: Optimizer;
  readonly #world: World;
  readonly #bucketBytes: number;
  /** The most micro-batches of a rank in a step. */
  readonly #most: number;
  #structure!: Structure;
  #local!: LocalGradients;
  #isPending = false;

  private constructor(optimizer: O, world: World, bucketBytes: number, most: number) {
    this.#optimizer = optimizer;
    this.#base = innerOptimizer(who, optimizer);
    this.#world = world;
    this.#bucketBytes = bucketBytes;
    this.#most = most;
    this.#layOut();
  }

  /**
   * Wraps an optimizer. Every rank must call it with the same class, options and params; then rank 0's params and state go
   * to all.
   *
   * @param optimizer An optimizer of any class, or a `Lookahead`.
   * @param world What `init` returned.
   * @param options `microBatches`, `bucketBytes` (25e6), `broadcast` (true): {@link DataParallelOptions}
   * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range, and where ranks differ in
   *   class, options, names or lengths. Then nothing has changed.
   */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static async create<O extends AnyOptimizer<any, any, any>>(
    optimizer: O,
    world: World,
    options: DataParallelOptions = {},
  ): Promise<DataParallel<O>> {
    const base = innerOptimizer(who, optimizer);
    if (typeof (world as World | undefined)?.allGatherObject !== 'function')
      throw typeError(who, 'world', show(world), 'a World', 'await init()');
    checkOptions(who, options, ['microBatches', 'bucketBytes', 'broadcast']);
    const { microBatches, bucketBytes = 25e6, broadcast = true } = options as DataParallelOptions;
    const most =
      microBatches === undefined ? Number.POSITIVE_INFINITY : microBatchesOfRank(who, microBatches, world.size);
    checkNumber(who, 'bucketBytes', bucketBytes, '[64, inf)');
    checkBoolean(who, 'broadcast', broadcast);
    const own = { microBatches, bucketBytes, broadcast };
    const facts = [...classFacts(optimizer), ...optionFacts(base), ...paramFacts(base)];
    await checkAlike(who, world, [
      ...facts,
      ...Object.entries(own).map(([name, value]) => [name, String(value)] as const),
    ]);
    if (broadcast) await shareState(world, optimizer, base);
    else await compareState(who, world, optimizer, base);
    return new DataParallel(optimizer, world, bucketBytes, most);
  }

  /** The optimizer inside. */
  unwrap(): O {
    return this.#optimizer;
  }

  /** Param groups of the optimizer. Change an option on every rank alike. */
  get paramGroups(): O['paramGroups'] {
    return this.#optimizer.paramGroups;
  }

  /** Learning rate of the optimizer. */
  get lr(): number {
    return this.#optimizer.lr;
  }

  set lr(value: number | Schedule) {
    this.#optimizer.lr = value;
  }

  /** Applied steps. */
  get stepCount(): number {
    return this.#optimizer.stepCount;
  }

  /** Skipped steps. */
  get skippedSteps(): number {
    return this.#optimizer.skippedSteps;
  }

  /** Moving averages of the params. */
  get emaParams(): O['emaParams'] {
    return this.#optimizer.emaParams;
  }

  /** Bytes of the optimizer's state on this rank: state arrays and moving averages of the params. */
  get stateBytes(): number {
    const { params } = Optimizer.internals(this.#base).store;
    const blocks = params.flatMap(({ state, ema }) => [...state.values(), ...(ema === null ? [] : [ema])]);
    return blocks.reduce((sum, { length }) => sum + length * Float32Array.BYTES_PER_ELEMENT, 0);
  }

  /**
   * Adds a param group to the optimizer, on every rank alike.
   *
   * @throws as the optimizer does; TypeError between `accumulate` and `step`
   */
  addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.#checkNotPending();
    if (this.#local.sum.count > 0)
      throw typeError(who, 'addParamGroup', 'micro-batches without a step', 'a call of step() first');
    this.#optimizer.addParamGroup(group);
    this.#layOut();
  }

  /** As `registerStepPreHook` of the optimizer. The hook gets Σ weight·g over all ranks. */
  registerStepPreHook(hook: Parameters<O['registerStepPreHook']>[0]): () => void {
    return this.#optimizer.registerStepPreHook(hook);
  }

  /** As `registerStepPostHook` of the optimizer. */
  registerStepPostHook(hook: Parameters<O['registerStepPostHook']>[0]): () => void {
    return this.#optimizer.registerStepPostHook(hook);
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
    this.#checkNotPending();
    checkOptions(who, options, this.#known(['weight']));
    this.#add(grads, options);
  }

  /**
   * Takes a step with the gradients of all ranks. Every rank must call it.
   *
   * @param grads The gradients of the last micro-batch, as for the optimizer's `step`. They are copied. `null`, for a rank
   *   that has no examples left, adds nothing.
   * @param options `weight` (1, [0, ∞)), `gradScale` (1), `loss`: {@link DataParallelStepOptions}
   * @returns Whether the step was applied, and the norm of the global gradient if it was measured. `finished` if every weight
   *   was 0.
   * @throws (rejects) TypeError, RangeError as {@link accumulate}; RangeError, the same on every rank, where options,
   *   `gradScale` or the kinds of gradients differ; and the errors of the world. Params and state have not changed then. Once
   *   ranks have begun to talk, a step that rejects drops the micro-batches.
   */
  async step(
    grads: Parameters<O['step']>[0] | null,
    options: DataParallelStepOptions = {},
  ): Promise<DataParallelResult> {
    this.#checkNotPending();
    checkOptions(who, options, this.#known(['weight', 'gradScale']));
    const { weight, gradScale = 1, loss } = options as DataParallelStepOptions;
    checkFloat(who, 'gradScale', gradScale);
    const facts = optionFacts(this.#base);
    if (grads !== null) this.#add(grads, { weight, loss });
    this.#isPending = true;
    try {
      return await this.#step(gradScale, facts);
    } finally {
      this.#local.sum.reset();
      this.#isPending = false;
    }
  }

  async #step(gradScale: number, options: Facts): Promise<DataParallelResult> {
    const { stepCount } = this;
    const maySkip = optionsOf(this.#base)['skipNonFinite'] === true;
    const sums = await exchange(who, this.#world, this.#local, { gradScale, stepCount, options, maySkip });
    if (sums.weight === 0) return { applied: false, finished: true };
    const grads = this.#structure.assemble(sums.grads as Float32Array[]);
    const result = this.#optimizer.step(grads as Parameters<O['step']>[0], {
      gradScale: gradScale / sums.weight,
      ...(this.#needsLoss ? { loss: sums.loss / sums.weight } : {}),
    });
    return result.applied ? result : { ...result, nonFiniteRanks: sums.nonFiniteRanks };
  }

  /**
   * The state of the optimizer, in the form of its class. Every rank must call it.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ
   */
  async stateDict(): Promise<ReturnType<O['stateDict']>> {
    this.#checkNotPending();
    const dict = this.#optimizer.stateDict();
    await this.#checkDict('stateDict', dict);
    return dict;
  }

  /**
   * Loads a state of the optimizer's class, all or nothing. Every rank must call it with the same.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ; and as the optimizer does
   */
  async loadStateDict(dict: Parameters<O['loadStateDict']>[0], options?: LoadOptions): Promise<void> {
    this.#checkNotPending();
    await this.#checkDict('loadStateDict', dict);
    this.#optimizer.loadStateDict(dict, options);
  }

  /** Disposes of the optimizer. */
  dispose(): void {
    this.#checkNotPending();
    this.#optimizer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The rank, the size of the world, and the optimizer. */
  toString(): string {
    this.#optimizer.stepCount; // throws after `dispose`
    return this[inspect]();
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  [inspect](): string {
    const { rank, size } = this.#world;
    return print(who, { rank, size, optimizer: this.#optimizer });
  }

  #layOut(): void {
    const { params } = Optimizer.internals(this.#base).store;
    this.#structure = new Structure(who, params);
    this.#local = new LocalGradients(who, this.#structure, params, this.#bucketBytes);
  }

  get #needsLoss(): boolean {
    return Optimizer.internals(this.#base).stepper.needsLoss;
  }

  /** The options that a call knows. */
  #known(names: readonly string[]): readonly string[] {
    return this.#needsLoss ? [...names, 'loss'] : names;
  }

  #add(grads: unknown, { weight = 1, loss }: { readonly weight?: unknown; readonly loss?: unknown }): void {
    const checked = checkFloat(who, 'weight', weight, '[0, inf)');
    // Whether it is finite is for the mean over all ranks to say, so that all of them get the same error.
    if (this.#needsLoss && typeof loss !== 'number')
      throw typeError(who, 'loss', show(loss), 'a number: the loss of the micro-batch, whose gradient is grads');
    if (this.#local.sum.count >= this.#most)
      throw rangeError(
        who,
        'grads',
        `micro-batch ${this.#most + 1} of a step`,
        `at most ${this.#most} a rank, as microBatches says`,
      );
    this.#local.add(grads, checked, this.#needsLoss ? (loss as number) : 0);
  }

  async #checkDict(method: string, dict: unknown): Promise<void> {
    const hash = `one with SHA-256 ${hashOf(dict).slice(0, 16)}…`;
    await checkAlike(`${who}.${method}`, this.#world, [['dict', hash]]);
  }

  #checkNotPending(): void {
    if (this.#isPending)
      throw typeError(who, 'this', 'an optimizer with a step under way', 'to await the pending step() first');
  }
}

// The name that PyTorch's users try.
Object.defineProperty(DataParallel.prototype, 'no_sync', {
  value: (): never => {
    throw typeError(who, 'no_sync', 'unknown method', 'accumulate(grads, { weight }), which never communicates');
  },
  configurable: true,
  writable: true,
});

/** The class, with the options of a Lookahead. */
function classFacts(optimizer: AnyOptimizer): Facts {
  const name = (optimizer.constructor as { optimizerName?: string }).optimizerName ?? optimizer.constructor.name;
  if (!(optimizer instanceof Lookahead)) return [['class', name]];
  const { k, alpha } = optimizer.stateDict();
  return [['class', 'Lookahead'], ['k', String(k)], ['alpha', String(alpha)], ...classFacts(optimizer.optimizer)];
}
