import { rangeError, show, typeError } from '../../check/errors.js';
import { refuseMembers } from '../../check/members.js';
import { checkFloat, checkOptions } from '../../check/options.js';
import { lengthOf } from '../../check/typed-array.js';
import { type RankPart, type Reading, rankPart } from '../../checkpoint/world.js';
import type { AnyOptimizer, OptimizerMembers } from '../../core/any-optimizer.js';
import { heldParams } from '../../core/held-params.js';
import { checkIdle, optionsOf, refuseOptionsOf } from '../../core/internals.js';
import { Optimizer } from '../../core/optimizer.js';
import { OptimizerWrapper } from '../../core/optimizer-wrapper.js';
import { inspect, print } from '../../core/print.js';
import type { ReadGrad } from '../../core/read-grad.js';
import type { LoadOptions } from '../../core/state-dict.js';
import type { StepResult } from '../../core/stepper.js';
import { Structure } from '../../core/structure.js';
import { bytesOf } from '../../engine/bfloat16-state.js';
import { Sophia } from '../../optimizers/sophia.js';
import { checkHolds, hold, release } from '../check-world.js';
import { type Facts, optionFacts } from '../differences.js';
import { methodsOfDdp, refuseMethods } from '../foreign-names.js';
import type { CompressedSums } from '../gradients/compressed-sums.js';
import type { Ranges } from '../gradients/divide.js';
import { type Exchanged, endOf, exchange } from '../gradients/exchange.js';
import { LocalGradients, type WholeParam, zero } from '../gradients/local-gradients.js';
import { isContributions, type Kept, type ResidualStates, type SavedSums } from '../gradients/residuals.js';
import type { Caller } from '../world/callers.js';
import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';
import { ownOptions } from './distribution.js';
import { type Begin, type DistributedResult, type Finished, resultOf } from './step-result.js';

/** Options of a micro-batch. @typeParam G The type of the gradients. */
export interface MicroBatchOptions<G = unknown> {
  /** The number of examples, if the gradient is a mean over them. [0, ∞), default 1. Gradients of weight 0 add nothing. */
  readonly weight?: number | undefined;
  /** Only for an optimizer that needs the loss: the mean loss of the micro-batch. */
  readonly loss?: number | undefined;
  /**
   * Only for `Sophia`: an estimate of the Hessian's diagonal over the examples of the micro-batch, in the structure of the
   * gradients. The step uses the weighted mean over the micro-batches that have an estimate. `null` for a param counts as
   * zeros, unless all of them have `null`.
   */
  readonly hessian?: G | undefined;
}

/** Options of {@link DistributedOptimizer.step}. @typeParam G The type of the gradients. */
export interface DistributedStepOptions<G = unknown> extends MicroBatchOptions<G> {
  /** Multiplies the gradient. It must be the same on every rank. Default 1. */
  readonly gradScale?: number | undefined;
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
  /** The optimizer that has the state: the one inside a wrapper. */
  readonly base: Optimizer;
  readonly world: World;
  readonly bucketBytes: number;
  /** The most micro-batches of a rank in a step. */
  readonly most: number;
  /** Undefined where gradients travel as they are. */
  readonly compressed: CompressedSums | undefined;
}

/** What a distributed optimizer wraps: an optimizer of any class, a `Lookahead`, or a `SAM`. */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export interface Wrapped extends OptimizerMembers<any, any, any> {
  // biome-ignore lint/suspicious/noExplicitAny: a SAM takes a closure
  step(given: any, options?: any): StepResult;
}

/**
 * Base class of the distributed optimizers. It sums the micro-batches of a rank, and has the members of the optimizer that it
 * wraps. `step`, `stateDict` and `loadStateDict` are asynchronous, and every rank must call them. If you change an option, such
 * as `lr`, change it on every rank.
 *
 * @typeParam O The class of the optimizer.
 * @typeParam G The type of the gradients.
 */
export abstract class DistributedOptimizer<
  O extends Wrapped = AnyOptimizer,
  G = Parameters<O['step']>[0],
> extends OptimizerWrapper<O> {
  readonly #made: Made<O>;
  #structure!: Structure;
  #local!: LocalGradients;
  /** Of a class that takes estimates of the Hessian's diagonal. */
  #hessian: LocalGradients | undefined;
  #params!: readonly WholeParam[];
  /** Made when it is first needed. */
  #keptParams: readonly Kept[] | undefined;
  /** The user's gradients of the step under way, for `zeroGrads`. */
  #last: readonly ReadGrad[] = [];
  /** Why no call is allowed now, and what to do. */
  #busy: readonly [given: string, expected: string] | undefined = undefined;

  protected constructor(made: Made<O>) {
    super(made.optimizer);
    this.#made = made;
    refuseOptionsOf(new.target, made.who, made.base);
    refuseMembers(
      new.target,
      made.who,
      ownOptions,
      (option) => `${made.who}.create(…, { ${option} }), which alone sets it`,
    );
    this.#layOut();
    hold(this.#made.base, this.#made);
  }

  // ---- What a subclass defines ----

  /** Sums the dense gradients, or estimates, of these params over the ranks, in their memory. */
  protected abstract sumDense(local: LocalGradients, params: readonly number[]): Promise<unknown>;

  /** The elements of a param whose sum each rank computes, where gradients are compressed. */
  protected abstract rangesOf(param: number, length: number): Ranges;

  /** Whether every rank needs all sums, or those of its range only. */
  protected abstract readonly needsAllSums: boolean;

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

  /** Whether the next step of the optimizer needs the loss. */
  protected get needsLoss(): boolean {
    return Optimizer.internals(this.#made.base).stepper.needsLoss;
  }

  /** Whether the next step of the optimizer takes an estimate of the Hessian's diagonal. */
  protected get takesHessian(): boolean {
    return this.#hessian !== undefined;
  }

  /** Puts one gradient a param into the structure of the params. */
  protected assemble(grads: readonly unknown[]): G {
    return this.#structure.assemble(grads as Float32Array[]) as G;
  }

  /** The options of the optimizer's step beside `gradScale`: the mean loss, and the mean of the estimates. */
  protected inputsOf({ loss, hessian }: Exchanged): { loss?: number; hessian?: G; hessianScale?: number } {
    return {
      ...(this.needsLoss ? { loss } : {}),
      ...(hessian === undefined ? {} : { hessian: this.assemble(hessian.sums), hessianScale: 1 / hessian.weight }),
    };
  }

  /** The options that a call knows: some names, and those of the class. */
  protected known(names: readonly string[]): readonly string[] {
    return [...names, ...(this.needsLoss ? ['loss'] : []), ...(this.takesHessian ? ['hessian'] : [])];
  }

  /** Adds a micro-batch. Returns what `zeroGrads` zeroes. @throws TypeError, RangeError; nothing is added then */
  #add(grads: G, { weight = 1, loss, hessian }: MicroBatchOptions<G>): readonly ReadGrad[] {
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
    const isZeroed = optionsOf(this.#made.base)['zeroGrads'] === true;
    const read = this.#local.read(grads, isZeroed);
    const estimates = hessian === undefined ? [] : this.#hessian!.read(hessian);
    this.#local.sum.add(read, checked, loss ?? 0);
    this.#hessian?.sum.add(estimates, hessian === undefined ? 0 : checked);
    return isZeroed ? read : [];
  }

  /** A step as {@link step} describes it. `begin` as for {@link takeStep}. */
  protected async stepBy(
    grads: G | null,
    given: DistributedStepOptions<G>,
    begin: Begin<StepResult>,
  ): Promise<DistributedResult> {
    this.checkNotPending();
    if (grads === undefined)
      throw typeError(
        this.#made.who,
        'grads',
        'undefined',
        'gradients, or null to step with what accumulate() has added',
      );
    checkOptions(this.#made.who, given, this.known(['weight', 'gradScale']));
    const options = { ...given }; // read once
    const facts = this.addLast(grads, options);
    // `await` keeps the user's call in the stack of an error.
    return await this.takeStep(options, facts, async (sums, gradScale) => {
      const apply = await begin(sums, gradScale);
      return async () => resultOf(await apply(), sums);
    });
  }

  /**
   * Adds the last micro-batch of a step, unless it is null. Returns the options that all ranks must have.
   * @throws TypeError, RangeError; nothing is added then
   */
  protected addLast(grads: G | null, options: DistributedStepOptions<G>): Facts {
    const { who, base } = this.#made;
    checkHolds(base, this.#made);
    checkFloat(who, 'gradScale', options.gradScale ?? 1);
    const facts = optionFacts(base);
    if (grads !== null) this.#last = this.#add(grads, options);
    else if (options.hessian !== undefined)
      throw typeError(who, 'hessian', 'an estimate without gradients', 'the gradients of the same examples beside it');
    return facts;
  }

  /**
   * Takes a step with the sums of all ranks, whose gradients are multiplied by `gradScale`. Where a rank fails in `begin`, no
   * rank steps.
   *
   * @param options What {@link addLast} has returned, and what else all ranks must have alike.
   * @param begin Does what may fail, and changes nothing. Returns what steps.
   */
  protected async takeStep<R>(
    { gradScale: given = 1 }: DistributedStepOptions<G>,
    options: Facts,
    begin: Begin<R>,
  ): Promise<R | Finished> {
    const { who, world, base, compressed } = this.#made;
    const { stepper } = Optimizer.internals(base);
    const { stepCount } = this;
    this.#actFor('.step');
    this.#busy = ofCall;
    hold(base, this.#made); // unwrap() may have ended it
    try {
      const maySkip = optionsOf(base)['skipNonFinite'] === true;
      const hasHooks = !stepper.preHooks.isEmpty;
      const own = { grads: this.#local, hessian: this.#hessian, gradScale: given, stepCount, options };
      const ready = await OwnWorld.allOrNone(world, async () => {
        checkIdle(base);
        const sums = await exchange(who, world, { ...own, maySkip, hasHooks }, (...dense) => this.#sum(...dense));
        if (sums.weight === 0) return { sums, apply: undefined };
        const mean = { ...sums, loss: sums.loss / sums.weight };
        return { sums, apply: await begin(mean, given / sums.weight) };
      });
      const { sums, apply } = ready;
      const result: R | Finished =
        apply === undefined ? { applied: false, finished: true, ...endOf(sums) } : await apply();
      zero(this.#last);
      return result;
    } finally {
      stepper.haveHooksRun = false;
      this.#last = [];
      // A hook after the step may throw, but the step was applied then.
      if (this.stepCount > stepCount) compressed?.commit();
      else compressed?.drop();
      this.#local.sum.reset();
      this.#hessian?.sum.reset();
      this.#busy = undefined;
    }
  }

  /** What rounding has lost on all ranks, as a part of a state. Every rank must call it. */
  protected async residuals(): Promise<{ readonly residuals?: ResidualStates }> {
    const { compressed } = this.#made;
    return compressed === undefined ? {} : { residuals: await compressed.residuals.gather(this.#kept) };
  }

  /** Loads a state of all ranks, with the residuals in it, all or nothing: `load` loads the rest. @throws TypeError, RangeError */
  protected loadWithResiduals(who: string, dict: unknown, load: () => void, read?: SavedSums): void {
    const loadResiduals = this.#made.compressed?.residuals.check(who, dict, this.#kept, read);
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

  get #kept(): readonly Kept[] {
    this.#keptParams ??= this.#params.map(({ key, length }, i) => ({
      key: String(key),
      length,
      ranges: this.rangesOf(i, length),
    }));
    return this.#keptParams;
  }

  /** Runs what no other call may interrupt, and where one rank fails all do. `action` as for `OwnWorld.allOrNone`. */
  protected async exclusively<T>(action: () => Promise<T>): Promise<T> {
    this.checkNotPending();
    this.#actFor('');
    this.#busy = ofCall;
    try {
      return await OwnWorld.allOrNone(this.#made.world, action);
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
    const read: SavedSums = new Map();
    return {
      ...part,
      [heldParams]: this[heldParams],
      className: optimizer.constructor.name,
      stepCount: this.stepCount,
      ...(compressed === undefined
        ? {}
        : {
            stateDict: () => ({ ...(part.stateDict() as object), residuals: compressed.residuals.own() }),
            loadStateDict: (whole, options) =>
              this.loadWithResiduals(`${who}.loadStateDict`, whole, () => part.loadStateDict(whole, options), read),
            placeOf: (path, length) =>
              path[0] === 'residuals' && path.length === 4
                ? compressed.residuals.placeOf(path, kept)
                : part.placeOf(path, length),
          }),
      reads: (name, rank, size) => this.#reads(name, rank, size, read),
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

  /** What other ranks have lost is of no use here, unless they were not as many. Then its sum is. */
  #reads(name: string, rank: number, size: number, read: SavedSums): Reading {
    const { world, compressed } = this.#made;
    if (!isContributions(name)) return 'whole';
    if (compressed === undefined) return 'nothing';
    if (size === world.size) return rank === world.rank ? 'whole' : 'nothing';
    return compressed.residuals.summing(name, this.#kept, read) ?? 'whole';
  }

  // ---- Members of the optimizer ----

  /**
   * Returns the optimizer inside. Its `step`, which throws while it is wrapped, then works again until the next step of the
   * wrapper. It steps on this rank only. While a call of the wrapper is pending, `step` keeps throwing.
   */
  unwrap(): O {
    if (this.#busy === undefined) release(this.#made.base, this.#made);
    return this.#made.optimizer;
  }

  /**
   * Bytes of the optimizer's state on this rank: state arrays, moving averages of the params, and the residuals of compression.
   * Residuals exist after the first dense gradient of a param.
   */
  get stateBytes(): number {
    const residuals = this.#made.compressed?.residuals.bytes ?? 0;
    const { params } = Optimizer.internals(this.#made.base).store;
    const blocks = params.flatMap(({ state, ema }) => [...state.values(), ...(ema === null ? [] : [ema])]);
    return blocks.reduce((sum, block) => sum + bytesOf(block), residuals);
  }

  /**
   * Adds a param group to the optimizer. Call it on every rank.
   *
   * @throws as the optimizer does; TypeError between `accumulate` and `step`
   */
  override addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.checkNotPending();
    if (this.#local.sum.count > 0)
      throw typeError(this.#made.who, 'addParamGroup', 'micro-batches without a step', 'a call of step() first');
    super.addParamGroup(group);
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
   * Adds a micro-batch to the next step, without communication. The gradients are copied, and with `zeroGrads` set to 0 at
   * once.
   *
   * @param grads As for the optimizer's `step`.
   * @param options `weight` (1, [0, ∞)), `loss`, `hessian`: {@link MicroBatchOptions}
   * @throws TypeError, RangeError for gradients that do not fit, a weight out of range, or more micro-batches than
   *   `microBatches / size`. Nothing is added then.
   */
  accumulate(grads: G, options: MicroBatchOptions<G> = {}): void {
    this.checkNotPending();
    checkOptions(this.#made.who, options, this.known(['weight']));
    zero(this.#add(grads, options));
  }

  /**
   * Takes a step with the gradients of all ranks. Every rank must call it.
   *
   * @param grads The gradients of the last micro-batch, as for the optimizer's `step`. They are copied. With `zeroGrads`, they
   *   are set to 0 after the step, also after a skipped or finished one, but not after an error. A rank that has no examples
   *   left passes `null`.
   * @param options `weight` (1, [0, ∞)), `gradScale` (1), `loss`, `hessian`: {@link DistributedStepOptions}
   * @returns Whether the step was applied, and the norm of the global gradient if it was measured. `finished` if every weight
   *   was 0. `interrupted` after the launcher has received SIGINT or SIGTERM.
   * @throws (rejects) TypeError, RangeError as {@link accumulate}; RangeError on every rank if options, `gradScale` or the
   *   kinds of gradients differ; the error of a pre-hook, and on the other ranks an Error that names the rank; and the errors
   *   of the world. Then params and state have not changed. If the communication had started, the micro-batches are dropped.
   */
  abstract step(
    grads: Parameters<O['step']>[0] | null,
    options?: DistributedStepOptions<G>,
  ): Promise<DistributedResult>;

  /** Sums the dense gradients, or estimates, of these params. The step multiplies them by a factor. */
  #sum(local: LocalGradients, params: readonly number[], factor: number): Promise<unknown> {
    const { base, compressed } = this.#made;
    if (params.length > 0) checkIdle(base); // this rank may have waited long for the others
    if (compressed === undefined || local !== this.#local) return this.sumDense(local, params);
    const kept = this.#kept;
    const all = params.map((param) => ({ ...kept[param]!, array: this.#local.buckets.of(param) }));
    return compressed.sum(all, factor, this.needsAllSums);
  }

  /** The state of the optimizer, as its class returns it. Every rank must call it. */
  abstract stateDict(): Promise<ReturnType<O['stateDict']> | undefined>;

  /** Loads a state of the optimizer's class, all or nothing. Every rank must call it. */
  abstract loadStateDict(dict: Parameters<O['loadStateDict']>[0], options?: LoadOptions): Promise<void>;

  override dispose(): void {
    this.checkNotPending();
    super.dispose();
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  override [inspect](): string {
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
    this.#keptParams = undefined;
    this.#structure = new Structure(who, params);
    this.#local = new LocalGradients(who, this.#structure, params, bucketBytes);
    const ofHessian = (): Structure => new Structure(who, params, 'hessian');
    this.#hessian =
      base instanceof Sophia ? new LocalGradients(who, ofHessian(), params, bucketBytes, true) : undefined;
  }
}

refuseMethods(DistributedOptimizer.prototype, undefined, methodsOfDdp);
