import type { AnyOptimizer } from '../../core/any-optimizer.js';
import { SAM } from '../../optimizers/sam.js';
import { innerOptimizer } from '../../training/param-groups.js';
import { checkFree, checkMade, letStep } from '../check-world.js';
import { checkAlike, classFacts, optionFacts, paramFacts } from '../differences.js';
import { actingFor } from '../world/callers.js';
import { OwnWorld } from '../world/own-world.js';
import type { World } from '../world/world.js';
import { DataParallelSAM } from './data-parallel-sam.js';
import type { DistributedStepOptions, Made, Wrapped } from './distributed-optimizer.js';
import { checkDistribution, type DistributionOptions } from './distribution.js';
import { ReplicatedOptimizer } from './replicated-optimizer.js';
import { compareState, shareState } from './share-state.js';
import type { DistributedResult } from './step-result.js';

const who = 'DataParallel';

/**
 * Data-parallel training: every rank has all params, and each step uses the mean gradient of all ranks.
 *
 * ```
 * g ← Σ weight·g · gradScale / Σ weight,   over all ranks and micro-batches
 * loss ← Σ weight·loss / Σ weight,         for an optimizer that needs it, in float64
 * ```
 * The products are in float32, and the sums have the order of {@link World}. Clipping, `skipNonFinite` and `gradNorm` use the
 * global gradient, and every rank takes the same step.
 *
 * **The same bits on any number of ranks**: with the same `microBatches` and the parts of `shardBatches`, 1, 2, 4 and 8 ranks
 * have the same params to the bit, and so has one process with `new GradAccumulator(params, { order: 'tree' })`,
 * `add(grads, { weight })` for each part, and `step(sum.grads, { gradScale: 1 / sum.weight })`.
 *
 * **Half the bytes**: with `compression: 'bf16'`, dense gradients and their sums are sent as bfloat16. Rounding errors are
 * added in the next step (error feedback). The result then depends on the number of ranks.
 *
 * If the gradient of a param is `null` on every rank, the param does not change. If it is `null` on some ranks, it counts as
 * zeros there. Sparse gradients are exchanged as rows.
 *
 * Create it with {@link create}. It has the members of the optimizer. `step`, `stateDict` and `loadStateDict` are
 * asynchronous, and every rank must call them. For a `SAM`, `create` returns a {@link DataParallelSAM}, which has
 * `firstStep` and `secondStep`.
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
export class DataParallel<O extends AnyOptimizer<any, any, any> = AnyOptimizer> extends ReplicatedOptimizer<O> {
  private constructor(made: Made<O>) {
    super(checkMade(who, made, 'who', 'optimizer, world'));
  }

  /**
   * Wraps an optimizer. Every rank must call it with the same class, options and params. All ranks get the params and the
   * state of rank 0.
   *
   * @param optimizer An optimizer of any class, a `Lookahead`, or a `SAM`.
   * @param world What `init` returned.
   * @param options `microBatches`, `bucketBytes` (25e6), `broadcast` (true), `compression` ('none'): {@link DistributionOptions}
   * @throws TypeError for a wrong type or an unknown option; RangeError for a value out of range, or if ranks differ in
   *   class, options, names or lengths. Then nothing has changed.
   */
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static async create<O extends AnyOptimizer<any, any, any>>(
    optimizer: O,
    world: World,
    options?: DistributionOptions,
  ): Promise<DataParallel<O>>;
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  static async create<S extends SAM<any>>(
    optimizer: S,
    world: World,
    options?: DistributionOptions,
  ): Promise<DataParallelSAM<S>>;
  static async create(
    optimizer: AnyOptimizer | SAM,
    world: World,
    options: DistributionOptions = {},
  ): Promise<DataParallel | DataParallelSAM> {
    const acting = actingFor(world, `${who}.create`);
    const base = innerOptimizer(who, optimizer instanceof SAM ? optimizer.optimizer : optimizer);
    checkFree(who, base);
    const { broadcast, facts, ...made } = checkDistribution(who, acting, options);
    await OwnWorld.allOrNone(acting, async () => {
      await checkAlike(who, acting, [...classFacts(optimizer), ...optionFacts(base), ...paramFacts(base), ...facts]);
      if (broadcast) await shareState(acting, optimizer, base);
      else await compareState(who, acting, optimizer, base);
    });
    const all = <O extends Wrapped>(optimizer: O): Made<O> => ({ who, optimizer, base, world: acting, ...made });
    return optimizer instanceof SAM ? new DataParallelSAM(all(optimizer)) : new DataParallel(all(optimizer));
  }

  override async step(
    grads: Parameters<O['step']>[0] | null,
    options: DistributedStepOptions<Parameters<O['step']>[0]> = {},
  ): Promise<DistributedResult> {
    const { optimizer } = this.made;
    return await this.stepBy(grads, options, async (sums, gradScale) => {
      const mean = this.assemble(sums.grads);
      await this.runHooks(mean, sums);
      const inputs = { gradScale, ...this.inputsOf(sums) };
      return () => letStep(this.made, () => optimizer.step(mean, inputs));
    });
  }
}
