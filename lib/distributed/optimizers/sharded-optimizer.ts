import { rangeError, typeError } from '../../check/errors.js';
import { checkFloat } from '../../check/options.js';
import { checkLength, floatsOf, isFloat32, lengthOf } from '../../check/typed-array.js';
import type { RankPart } from '../../checkpoint/world.js';
import type { AnyOptimizer } from '../../core/any-optimizer.js';
import { checkIdle, notAnOptimizer } from '../../core/internals.js';
import { Optimizer } from '../../core/optimizer.js';
import type { ParamState } from '../../core/param-state.js';
import { divider, measured, type Shard } from '../../core/shard.js';
import type { LoadOptions, StateDict } from '../../core/state-dict.js';
import type { StepOptions, StepResult } from '../../core/stepper.js';
import { isFiniteEstimate } from '../../optimizers/sophia.js';
import type { Sum } from '../../training/param-sum.js';
import type { RowSums } from '../../training/row-sums.js';
import { checkMade } from '../check-world.js';
import { checkAlike, classFacts, hashOf, optionFacts, paramFacts } from '../differences.js';
import { dividerFor, ownerOf, type Ranges } from '../gradients/divide.js';
import type { Exchanged } from '../gradients/exchange.js';
import type { LocalGradients } from '../gradients/local-gradients.js';
import { measure, type NormOptions } from '../gradients/measure.js';
import { sparsePart } from '../gradients/sparse-part.js';
import { actingFor } from '../world/callers.js';
import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';
import { DistributedOptimizer, type DistributedStepOptions, type Made } from './distributed-optimizer.js';
import { checkDistribution, type DistributionOptions } from './distribution.js';
import { Owners } from './owners.js';
import { agreeOnDict, fromOwner, together } from './share-state.js';
import { beginWithSharedNumbers } from './shared-numbers.js';
import type { DistributedResult } from './step-result.js';

const who = 'ShardedOptimizer';
const nothing = new Float32Array(0);

/** An optimizer class, for {@link ShardedOptimizer.create}. */
// biome-ignore lint/suspicious/noExplicitAny: the types of params and options depend on the class
export type ShardableClass<O, A extends readonly [params: any, options?: any]> = new (...given: A) => O;

/**
 * Data-parallel training with a sharded optimizer state (ZeRO-1): each rank keeps about 1/size of the state and does about
 * 1/size of the work of a step. Every rank has all params.
 *
 * ```
 * each rank gets the sums of the gradients of its part;  steps this part;  then all ranks get all params
 * ```
 * Each param is divided by `world.partition`. Classes that need whole params, such as LAMB and Muon, get whole params instead,
 * the largest first. **The params have the same bits as with {@link DataParallel}**, for every class, number of ranks and
 * transport. Clipping and all other norms use the global gradient.
 *
 * Create it with {@link create}. It has the members of the optimizer. `step`, `stateDict` and `loadStateDict` are
 * asynchronous, and every rank must call them. `emaParams`, pre-hooks, and the members of `unwrap()` have only this rank's
 * part: for a param that is divided, an array of the length of that part.
 *
 * @typeParam O The class of the optimizer.
 * @remarks
 * **When:** The memory of a rank is too small for the params and the whole state. The state of {@link Adam} is twice the size
 * of the params.
 *
 * **Pitfalls:** If a class needs whole params, one very large param limits the gain.
 *
 * @example
 * ```ts
 * import { AdamW } from 'schuss';
 * import { init, ShardedOptimizer, shardBatches } from 'schuss/distributed';
 *
 * const [w, grad] = [new Float32Array(1), new Float32Array(1)];
 * const world = await init();
 * const optimizer = await ShardedOptimizer.create(AdamW, w, { lr: 0.1 }, world);
 * for (const [rows] of shardBatches(1000, world, { batch: 100, epoch: 0 })) {
 *   grad[0] = w[0] - 1; // the mean gradient over these rows
 *   await optimizer.step(grad, { weight: rows.length });
 * }
 * ```
 * @see Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020,
 *   https://arxiv.org/abs/1910.02054; PyTorch's `ZeroRedundancyOptimizer`
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export class ShardedOptimizer<O extends AnyOptimizer<any, any, any> = AnyOptimizer> extends DistributedOptimizer<O> {
  readonly #owners: Owners;
  /** The own part of each gradient: the same array in each step, because a plan keeps it. */
  readonly #views = new Map<Sum, Float32Array>();

  private constructor(made: Made<O>) {
    super(checkMade(who, made, 'who', 'Class, params, options, world'));
    this.#owners = new Owners(made.world, made.bucketBytes);
  }

  /**
   * Creates an optimizer. Every rank must call it with the same class, options and params. All ranks get the params of
   * rank 0.
   *
   * @param Class An optimizer class, such as `AdamW`.
   * @param params The params, or groups of them, as the class takes them.
   * @param options The options of the class.
   * @param world What `init` returned.
   * @param distribution `microBatches`, `bucketBytes` (25e6), `broadcast` (true), `compression` ('none'):
   *   {@link DistributionOptions}
   * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range, or if ranks differ in
   *   class, options, names or lengths. Then nothing has changed.
   */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static async create<O extends AnyOptimizer<any, any, any>, A extends readonly [params: any, options?: any]>(
    Class: ShardableClass<O, A>,
    params: A[0],
    options: A[1],
    world: World,
    distribution: DistributionOptions = {},
  ): Promise<ShardedOptimizer<O>> {
    if (typeof (options as Partial<World> | undefined)?.allGatherObject === 'function')
      throw typeError(
        who,
        'options',
        'a World',
        'the options of the class, then the world',
        'create(AdamW, params, { lr: 1e-3 }, world)',
      );
    const acting = actingFor(world, `${who}.create`);
    if (!(Class?.prototype instanceof Optimizer))
      throw notAnOptimizer(who, Class, 'Class', 'a class of optimizers, such as AdamW');
    const { broadcast, facts, ...parts } = checkDistribution(who, acting, distribution);
    const given: unknown = options;
    const divided = { [divider]: dividerFor(acting.rank, acting.size) };
    const isRecord = given === undefined || (typeof given === 'object' && given !== null && !Array.isArray(given));
    const optimizer = new Class(...([params, isRecord ? { ...given, ...divided } : given] as unknown as A));
    const base = optimizer as unknown as Optimizer;
    return OwnWorld.allOrNone(acting, async () => {
      await checkAlike(who, acting, [...classFacts(optimizer), ...optionFacts(base), ...paramFacts(base), ...facts]);
      const made = new ShardedOptimizer<O>({ who, optimizer, base, world: acting, ...parts });
      if (broadcast) await made.#shareParams();
      else await made.#compareParams();
      return made;
    });
  }

  /** This rank's part of the moving averages of the params. {@link stateDict} has all of them. */
  override get emaParams(): O['emaParams'] {
    return super.emaParams;
  }

  get #params(): readonly (ParamState & { readonly shard: Shard })[] {
    return Optimizer.internals(this.made.base).store.params as readonly (ParamState & { readonly shard: Shard })[];
  }

  async #shareParams(): Promise<void> {
    for (const { shard } of this.#params) await this.made.world.broadcast(floatsOf(shard.whole.data));
    for (const { ema, data } of this.#params) ema?.write(floatsOf(data));
  }

  async #compareParams(): Promise<void> {
    const hashes = this.#params.map(({ shard: { whole } }) => {
      return [whole.path, `with SHA-256 ${hashOf(floatsOf(whole.data)).slice(0, 16)}…`] as const;
    });
    await checkAlike(who, this.made.world, hashes);
  }

  // ---- The step ----

  protected override sumDense({ buckets }: LocalGradients, params: readonly number[]): Promise<unknown> {
    const all = this.#params;
    return this.#owners.reduce(params.map((param) => ({ array: buckets.of(param), ranges: all[param]!.shard.ranges })));
  }

  protected override readonly needsAllSums = false;

  protected override rangesOf(param: number): Ranges {
    return this.#params[param]!.shard.ranges;
  }

  override async step(
    grads: Parameters<O['step']>[0] | null,
    options: DistributedStepOptions<Parameters<O['step']>[0]> = {},
  ): Promise<DistributedResult> {
    return await this.stepBy(grads, options, (sums, gradScale) => this.#begin(sums, gradScale));
  }

  /** Does what may fail. Each rank then steps its part, and all ranks get all params. */
  async #begin(all: Exchanged, given: number): Promise<() => Promise<StepResult>> {
    const { grads, loss } = all;
    const { optimizer, base, world } = this.made;
    const { stepper, store, options } = Optimizer.internals(base);
    const gradScale = checkFloat(who, 'gradScale', given);
    if (this.needsLoss) stepper.checkLoss(loss); // the same on every rank
    this.#checkSparse(grads);
    const partsOf = (sums: readonly Sum[]) =>
      this.#params.map(({ shard }, i) => this.#partOf(shard, sums[i]!, store.hasSharedNumbers));
    const own = this.assemble(partsOf(grads));
    const hessian = all.hessian && { ...all.hessian, sums: partsOf(all.hessian.sums) as Sum[] };
    const { loss: _, ...inputs } = this.inputsOf({ ...all, hessian }); // the loss is among what was measured
    const wholes = this.#wholes();
    stepper.runPreHooks(own);
    options.resolve(stepper.stepCount + 1);
    const estimates = hessian === undefined ? [] : (hessian.sums as readonly (Float32Array | null)[]);
    const hasFinite = estimates.every((own) => own === null || isFiniteEstimate(own, inputs.hessianScale!));
    const shards = this.#params.map(({ shard }, i) => ({ shard, sum: grads[i]! }));
    const norms = options.resolved as unknown as NormOptions;
    // Its sums agree that all ranks step, or else a barrier does.
    const sums = await measure(world, this.#owners, { grads: shards, gradScale, hasFinite }, norms);
    const applied = (sums?.applied ?? true) && !(this.needsLoss && !Number.isFinite(loss));
    const { factor, gradNorm } = sums ?? { factor: gradScale, gradNorm: undefined };
    const whole = { factor, gradNorm, applied, loss };
    let step = (): StepResult => optimizer.step(own, { ...inputs, [measured]: whole } as StepOptions);
    if (sums === undefined) await world.barrier();
    if (store.hasSharedNumbers && applied) step = await beginWithSharedNumbers(world, base, own, whole);
    const moved = this.#params.flatMap(({ shard: { ranges } }, i) =>
      applied && grads[i] !== null ? [{ array: wholes[i]!, ranges }] : [],
    );
    return async () => {
      let result: StepResult;
      try {
        result = step();
      } finally {
        // A hook after the step may have failed, and the others wait for this part.
        await this.#owners.gather(moved, true);
      }
      if (applied) this.#wholes(); // one that was transferred meanwhile got nothing
      return result;
    };
  }

  /** All params. @throws RangeError for one that was transferred or shrunk */
  #wholes(): Float32Array[] {
    return this.#params.map(({ shard: { whole, length } }) => {
      checkLength(who, whole.path, whole.data, length);
      return floatsOf(whole.data);
    });
  }

  /** Refuses sparse gradients that the class does not take: the same error on every rank. */
  #checkSparse(grads: readonly Sum[]): void {
    const { store } = Optimizer.internals(this.made.base);
    for (const [i, param] of this.#params.entries()) {
      const sum = grads[i] as Sum;
      const reason = sum === null || isFloat32(sum) ? undefined : store.denseOnlyBecause(param);
      if (reason !== undefined)
        throw typeError(who, this.local.paths[i]!, 'a sparse gradient', 'a Float32Array or null', reason);
    }
  }

  /** This rank's part of a gradient. */
  #partOf(shard: Shard, sum: Sum, hasSharedNumbers: boolean): Float32Array | RowSums | null {
    if (sum === null) return null;
    const [begin, end] = shard.ranges[this.made.world.rank]!;
    if (shard.isDealt) {
      if (end === shard.length && ownerOf(shard) === this.made.world.rank) return sum;
      // Where params share numbers, those of other ranks count their updates here too.
      return hasSharedNumbers ? nothing : null;
    }
    if (!isFloat32(sum)) return sparsePart(sum, begin, end);
    let view = this.#views.get(sum);
    if (view === undefined) {
      view = floatsOf(sum, begin, end);
      this.#views.set(sum, view);
    }
    return view;
  }

  override addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    super.addParamGroup(group);
    this.#views.clear();
  }

  /**
   * Switches a ScheduleFree optimizer to evaluation mode: all params become the averaged weights. Every rank must call it.
   *
   * @throws (rejects) TypeError for a class without modes
   */
  async eval(): Promise<void> {
    await this.#switchTo('eval');
  }

  /** Switches a ScheduleFree optimizer back to training mode. Every rank must call it. */
  async train(): Promise<void> {
    await this.#switchTo('train');
  }

  async #switchTo(mode: 'train' | 'eval'): Promise<void> {
    const optimizer = this.made.optimizer as { readonly train?: unknown; readonly eval?: unknown };
    if (typeof optimizer[mode] !== 'function')
      throw typeError(who, mode, 'a class without modes', 'a ScheduleFree optimizer');
    await this.exclusively(async () => {
      checkIdle(this.made.base);
      const wholes = this.#wholes();
      await this.made.world.barrier(); // all ranks switch, or none
      (optimizer[mode] as () => void)();
      await this.#owners.gather(this.#params.map(({ shard: { ranges } }, i) => ({ array: wholes[i]!, ranges })));
    });
    this.#wholes(); // one that was transferred meanwhile got nothing
  }

  // ---- Saving and loading ----

  /**
   * Returns the complete state on rank 0, and undefined on the other ranks. Every rank must call it. An optimizer of the plain
   * class can load it. So can a {@link ShardedOptimizer} with any number of ranks.
   */
  override async stateDict(): Promise<ReturnType<O['stateDict']> | undefined> {
    return this.exclusively(async () => {
      const { world, optimizer } = this.made;
      const dict = optimizer.stateDict() as StateDict;
      const states: (readonly [key: string | number, state: unknown])[] = [];
      for (const { key, shard } of this.#params)
        states.push([key, await this.#wholeOf(shard, dict.state[key] as Readonly<Record<string, unknown>>)]);
      const whole = { ...dict, state: Object.fromEntries(states), ...(await this.residuals()) };
      return world.rank === 0 ? (whole as ReturnType<O['stateDict']>) : undefined;
    });
  }

  protected override rankState(): Pick<RankPart, 'stateDict' | 'loadStateDict' | 'placeOf' | 'owned'> {
    const { optimizer, world } = this.made;
    const { rank } = world;
    const shards = new Map(this.#params.map(({ key, shard }) => [String(key), shard]));
    return {
      stateDict: () => optimizer.stateDict(),
      loadStateDict: (whole, options) => optimizer.loadStateDict(this.#partOfDict(whole), options),
      placeOf: ([key], length) => {
        const shard = shards.get(key as string)!;
        if (!shard.isDealt) return { begin: shard.ranges[rank]![0], whole: shard.length };
        return ownerOf(shard) === rank ? { begin: 0, whole: length } : undefined;
      },
      owned: this.#params.flatMap(({ key, shard }) => (shard.isDealt && ownerOf(shard) === rank ? [key] : [])),
    };
  }

  /** The whole state of a param. */
  async #wholeOf(shard: Shard, state: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { world } = this.made;
    if (shard.isDealt) return fromOwner(world, state, ownerOf(shard));
    const entries: [name: string, value: unknown][] = [];
    for (const [name, value] of Object.entries(state)) {
      if (!isFloat32(value)) {
        entries.push([name, value]);
        continue;
      }
      const array = new Float32Array(shard.length);
      array.set(value, shard.ranges[world.rank]![0]);
      entries.push([name, await world.allGather(array)]);
    }
    return Object.fromEntries(entries);
  }

  /**
   * Loads a complete state, all or nothing: the result of {@link stateDict} with any number of ranks, or the state of the plain
   * class. Every rank must call it.
   *
   * @param dict The state on rank 0. Other ranks can pass undefined, or the same state.
   * @throws (rejects) RangeError on every rank if the states differ; otherwise as the optimizer does
   */
  override async loadStateDict(
    dict: Parameters<O['loadStateDict']>[0] | undefined,
    options?: LoadOptions,
  ): Promise<void> {
    await this.exclusively(async () => {
      const { world, optimizer } = this.made;
      const whole = await agreeOnDict(`${who}.loadStateDict`, world, dict);
      const undo = this.remember();
      await together(
        world,
        () =>
          this.loadWithResiduals(`${who}.loadStateDict`, whole, () =>
            optimizer.loadStateDict(this.#partOfDict(whole), options),
          ),
        undo,
      );
    });
  }

  /** This rank's part of a whole state. What has another form is left for the class to refuse. */
  #partOfDict(dict: unknown): unknown {
    const { state } = (dict ?? {}) as { readonly state?: Readonly<Record<string, unknown>> };
    if (typeof state !== 'object' || state === null) return dict;
    const parts: Record<string, unknown> = { ...state };
    for (const { key, shard } of this.#params) {
      const saved = Object.hasOwn(state, key) ? state[key] : undefined;
      if (typeof saved !== 'object' || saved === null) continue;
      const path = `state[${JSON.stringify(key)}]`;
      const entries = Object.entries(saved).map(([name, value]) => [name, this.#partOfArray(shard, path, name, value)]);
      parts[key] = Object.fromEntries(entries);
    }
    return { ...(dict as object), state: parts };
  }

  #partOfArray(shard: Shard, path: string, name: string, value: unknown): unknown {
    if (!isFloat32(value)) return value;
    const { rank } = this.made.world;
    const [begin, end] = shard.ranges[rank]!;
    if (shard.isDealt) return ownerOf(shard) === rank ? value : nothing;
    const length = lengthOf(value);
    if (length !== shard.length)
      throw rangeError(`${who}.loadStateDict`, `${path}.${name}`, `length ${length}`, String(shard.length));
    return floatsOf(value, begin, end);
  }
}
