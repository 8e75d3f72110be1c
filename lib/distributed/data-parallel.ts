import { typeError } from '../check/errors.js';
import { floatsOf, isFloat32, lengthOf } from '../check/typed-array.js';
import type { RankPart } from '../checkpoint/world.js';
import type { AnyOptimizer } from '../core/any-optimizer.js';
import type { LoadOptions } from '../core/state-dict.js';
import type { StepResult } from '../core/stepper.js';
import { innerOptimizer } from '../training/param-groups.js';
import { actingFor } from './callers.js';
import { checkFree, checkMade } from './check-world.js';
import { checkAlike, classFacts, hashOf, optionFacts, paramFacts } from './differences.js';
import {
  checkDistribution,
  DistributedOptimizer,
  type DistributionOptions,
  type Made,
} from './distributed-optimizer.js';
import type { Ranges } from './divide.js';
import type { Exchanged } from './exchange.js';
import { partition } from './partition.js';
import { compareState, shareState } from './share-state.js';
import type { World } from './world.js';

const who = 'DataParallel';

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
 * **Half the bytes**: with `compression: 'bf16'` dense gradients and their sums travel as bfloat16, and what rounding loses is
 * added in the next step. The result depends on the number of ranks then.
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
export class DataParallel<O extends AnyOptimizer<any, any, any> = AnyOptimizer> extends DistributedOptimizer<O> {
  private constructor(made: Made<O>) {
    super(checkMade(who, made, 'who', 'optimizer, world'));
  }

  /**
   * Wraps an optimizer. Every rank must call it with the same class, options and params; then rank 0's params and state go
   * to all.
   *
   * @param optimizer An optimizer of any class, or a `Lookahead`.
   * @param world What `init` returned.
   * @param options `microBatches`, `bucketBytes` (25e6), `broadcast` (true), `compression` ('none'): {@link DistributionOptions}
   * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range, and where ranks differ in
   *   class, options, names or lengths. Then nothing has changed.
   */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static async create<O extends AnyOptimizer<any, any, any>>(
    optimizer: O,
    world: World,
    options: DistributionOptions = {},
  ): Promise<DataParallel<O>> {
    const acting = actingFor(world, `${who}.create`);
    const base = innerOptimizer(who, optimizer);
    checkFree(who, base);
    const { broadcast, facts, ...made } = checkDistribution(who, acting, options);
    await checkAlike(who, acting, [...classFacts(optimizer), ...optionFacts(base), ...paramFacts(base), ...facts]);
    if (broadcast) await shareState(acting, optimizer, base);
    else await compareState(who, acting, optimizer, base);
    return new DataParallel({ who, optimizer, base, world: acting, ...made });
  }

  /** All ranks have the same state: each saves its part of every array. */
  protected override rankState(): Pick<RankPart, 'stateDict' | 'loadStateDict' | 'placeOf' | 'owned'> {
    const { optimizer, world } = this.made;
    const wholes = new Map<string, number>();
    const cut = (value: unknown, path: readonly string[]): unknown => {
      if (isFloat32(value)) {
        const [begin, end] = partition(lengthOf(value), world.size)[world.rank]!;
        wholes.set(path.slice(-2).join('\0'), lengthOf(value));
        return floatsOf(value, begin, end);
      }
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
      if (Array.isArray(value)) return value.map((each, i) => cut(each, [...path, String(i)]));
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cut(each, [...path, key])]));
    };
    return {
      stateDict: () => cut(optimizer.stateDict(), []),
      loadStateDict: (whole, options) => optimizer.loadStateDict(whole as Parameters<O['loadStateDict']>[0], options),
      placeOf: (path, length) => {
        const whole = wholes.get(path.slice(-2).join('\0'));
        if (whole === undefined) return world.rank === 0 ? { begin: 0, whole: length } : undefined;
        return { begin: partition(whole, world.size)[world.rank]![0], whole };
      },
      owned: [],
    };
  }

  protected override sumDense(params: readonly number[]): Promise<unknown> {
    const { world } = this.made;
    return Promise.all(this.local.buckets.runs(params).map((run) => world.allReduce(run)));
  }

  protected override readonly needsAllSums = true;

  protected override rangesOf(_param: number, length: number): Ranges {
    return partition(length, this.made.world.size);
  }

  protected override async apply({ grads, loss }: Exchanged, gradScale: number): Promise<StepResult> {
    return this.made.optimizer.step(this.assemble(grads), { gradScale, ...(this.needsLoss ? { loss } : {}) });
  }

  /**
   * The state of the optimizer, in the form of its class. Every rank must call it.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ
   */
  override async stateDict(): Promise<ReturnType<O['stateDict']>> {
    return this.exclusively(async () => {
      const dict = { ...this.made.optimizer.stateDict(), ...(await this.residuals()) };
      await this.#checkDict('stateDict', dict);
      return dict;
    });
  }

  /**
   * Loads a state of the optimizer's class, all or nothing. Every rank must call it with the same.
   *
   * @throws (rejects) RangeError, the same on every rank, where the states differ; and as the optimizer does
   */
  override async loadStateDict(dict: Parameters<O['loadStateDict']>[0], options?: LoadOptions): Promise<void> {
    await this.exclusively(async () => {
      await this.#checkDict('loadStateDict', dict);
      this.loadWithResiduals(`${who}.loadStateDict`, dict, () => this.made.optimizer.loadStateDict(dict, options));
    });
  }

  async #checkDict(method: string, dict: unknown): Promise<void> {
    const hash = `one with SHA-256 ${hashOf(dict).slice(0, 16)}…`;
    await checkAlike(`${who}.${method}`, this.made.world, [['dict', hash]]);
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
