import { typeError } from '../../check/errors.js';
import { checkFunction, checkOptions } from '../../check/options.js';
import { optionsOf } from '../../core/internals.js';
import { lossOf, SAM } from '../../optimizers/sam.js';
import { checkMade, letStep } from '../check-world.js';
import { endOf } from '../gradients/exchange.js';
import type { DistributedStepOptions, Made } from './distributed-optimizer.js';
import { ReplicatedOptimizer } from './replicated-optimizer.js';
import { type DistributedResult, type Finished, resultOf } from './step-result.js';

/** Options of {@link DataParallelSAM.firstStep}. */
export interface FirstStepOptions {
  /** The number of examples, where the gradient is a mean over them. [0, ∞), default 1. */
  readonly weight?: number | undefined;
  /** Multiplies the gradient. The same on every rank. Default 1. */
  readonly gradScale?: number | undefined;
}

/** The result of {@link DataParallelSAM.firstStep}: the same on every rank. */
export interface FirstStepResult {
  /** The norm that the climb was divided by. Absent if `finished`. */
  readonly gradNorm?: number;
  /** True if every weight was 0: no rank has examples left. Then the params have not climbed. */
  readonly finished?: true;
  /** With `skipNonFinite`, where `gradNorm` is not finite: the ranks whose own gradients are not finite. */
  readonly nonFiniteRanks?: readonly number[];
  /** True once the launcher has told any rank to end, as in {@link DistributedResult}. */
  readonly interrupted?: true;
}

/** Options of {@link DataParallelSAM.step}. */
export interface ClosureOptions {
  /** The number of examples that the closure takes the mean over. [0, ∞), default 1. */
  readonly weight?: number | undefined;
}

const who = 'DataParallel';

/**
 * What `DataParallel.create` makes around a `SAM`: both steps take the gradient of all ranks.
 *
 * ```
 * firstStep:   g ← Σ weight·g · gradScale / Σ weight over all ranks;  the params climb by g, the same way on every rank
 * secondStep:  g' ← the same mean of the gradients there;  the params are put back, and the optimizer steps by g'
 * ```
 * So the neighbourhood is that of the loss of the whole batch, as in one process. PyTorch's users have the same, where
 * `DistributedDataParallel` reduces the gradients of both backward passes. Each step exchanges gradients, so a step of SAM
 * moves twice the bytes.
 *
 * Micro-batches, `null`, weights and losses are those of {@link DataParallel}, in each of the two steps. With the same
 * `microBatches` any number of ranks has the same bits, and so has one process with a `GradAccumulator` of order `'tree'`:
 * `sam.firstStep(sum.grads, { gradScale: 1 / sum.weight })`, and `secondStep` likewise.
 *
 * @typeParam S The class of the SAM.
 * @example
 * ```ts
 * import { SAM, SGD } from 'schuss';
 * import { DataParallel, init, shardBatches } from 'schuss/distributed';
 *
 * const w = new Float32Array(1);
 * const gradient = () => Float32Array.of(w[0] - 1); // the mean gradient over the rows of this rank
 * const world = await init();
 * const sam = await DataParallel.create(new SAM(new SGD(w, { lr: 0.1 }), { rho: 0.05 }), world);
 * for (const [rows] of shardBatches(1000, world, { batch: 100, epoch: 0 })) {
 *   await sam.firstStep(gradient(), { weight: rows.length });
 *   await sam.secondStep(gradient(), { weight: rows.length });
 * }
 * ```
 * @see {@link SAM}
 */
export class DataParallelSAM<
  // biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
  S extends SAM<any> = SAM,
> extends ReplicatedOptimizer<S, Parameters<S['firstStep']>[0]> {
  /** The params for whose climb every rank has memory. */
  readonly #reserved = new Set<number>();

  /** @internal */
  constructor(made: Made<S>) {
    super(checkMade(who, made, 'who', 'sam, world'));
  }

  get #sam(): ReturnType<typeof SAM.internals> {
    return SAM.internals(this.made.optimizer);
  }

  // What the first step takes no notice of.

  protected override get needsLoss(): boolean {
    return super.needsLoss && this.#sam.hasClimbed;
  }

  protected override get takesHessian(): boolean {
    return super.takesHessian && this.#sam.hasClimbed;
  }

  /**
   * Moves the params of all ranks to the worst point nearby. Every rank must call it; the next call is {@link secondStep}, with
   * the gradients there.
   *
   * @param grads The gradients of the last micro-batch at the params; no sparse ones. They are copied. `null`, for a rank that
   *   has no examples left, adds nothing.
   * @param options `weight` (1, [0, ∞)), `gradScale` (1): {@link FirstStepOptions}
   * @returns The norm that the climb was divided by; `finished` if every weight was 0, and then the params have not climbed.
   * @throws (rejects) as {@link DataParallel.step}, and TypeError if the params have climbed. Nothing has changed then.
   */
  async firstStep(
    grads: Parameters<S['firstStep']>[0] | null,
    options: FirstStepOptions = {},
  ): Promise<FirstStepResult> {
    this.#checkAtRest();
    checkOptions(`${who}.firstStep`, options, ['weight', 'gradScale']);
    const climbed = await this.#climb(grads, { ...options });
    if ('first' in climbed) return climbed.first;
    const { applied: _, ...finished } = climbed;
    return finished;
  }

  /**
   * Puts the params back and steps the optimizer by the gradients of all ranks. Every rank must call it.
   *
   * @param grads The gradients of the last micro-batch at the point that {@link firstStep} has climbed to, as the optimizer
   *   takes them; or `null`.
   * @param options `weight` (1, [0, ∞)), `gradScale` (1), and where the optimizer takes them `loss` and `hessian`:
   *   {@link DistributedStepOptions}
   * @returns As {@link DataParallel.step}
   * @throws (rejects) TypeError without a `firstStep` before, and TypeError, RangeError for arguments that do not fit: nothing
   *   has changed then. Once ranks have begun to talk, the params are put back, whatever it throws.
   */
  async secondStep(
    grads: Parameters<S['firstStep']>[0] | null,
    options: DistributedStepOptions<Parameters<S['firstStep']>[0]> = {},
  ): Promise<DistributedResult> {
    this.checkNotPending();
    if (!this.#sam.hasClimbed)
      throw typeError(`${who}.secondStep`, 'this', 'params that have not climbed', 'firstStep(grads) before');
    checkOptions(`${who}.secondStep`, options, this.known(['weight', 'gradScale']));
    const given = { ...options }; // read once
    const facts = this.addLast(grads, given);
    try {
      return await this.takeStep(given, [['step', 'secondStep'], ...facts], async (sums, gradScale) => {
        const mean = this.assemble(sums.grads);
        const inputs = { gradScale, ...this.inputsOf(sums) };
        this.#sam.putBack(); // hooks see the params before the climb
        await this.runHooks(mean, sums);
        return () =>
          resultOf(
            letStep(this.made, () => this.made.optimizer.optimizer.step(mean, inputs)),
            sums,
          );
      });
    } finally {
      this.#sam.putBack();
    }
  }

  /**
   * A whole step. Calls the closure twice: it fills the `grads` given to the `SAM` and returns the loss, as for its `step`. Every
   * rank must call it.
   *
   * @param closure `null`, for a rank that has no examples left, adds nothing.
   * @param options `weight` (1, [0, ∞)): {@link ClosureOptions}
   * @returns What {@link secondStep} returns, and the mean loss at the params before the step, over all ranks by their weights;
   *   no loss if `finished`.
   * @throws (rejects) TypeError without `grads`, or for a closure that returns no number; otherwise as {@link firstStep} and
   *   {@link secondStep}, and what the closure throws. If the second call throws, the params are where they have climbed to:
   *   `secondStep(null)` puts them back together with the other ranks.
   */
  override async step(
    closure: (() => number) | null,
    options: ClosureOptions = {},
  ): Promise<DistributedResult & { readonly loss?: number }> {
    const method = `${who}.step`;
    this.#checkAtRest();
    checkOptions(method, options, ['weight']);
    const { weight } = options as ClosureOptions;
    if (closure !== null)
      checkFunction(method, 'closure', closure, 'a function that fills the gradients and returns the loss, or null');
    const given = this.#sam.grads as Parameters<S['firstStep']>[0];
    if (given === undefined)
      throw typeError(method, 'grads', 'undefined', 'the option grads of SAM', 'or call firstStep and secondStep');
    const grads = closure === null ? null : given;
    const lossNow = (): number => (closure === null ? 0 : lossOf(method, closure()));
    const climbed = await this.#climb(grads, { weight, loss: lossNow() });
    if ('finished' in climbed) return climbed;
    const worst = lossNow();
    const result = await this.secondStep(grads, { weight, ...(this.needsLoss ? { loss: worst } : {}) });
    return { ...result, loss: climbed.loss };
  }

  async #climb(
    grads: Parameters<S['firstStep']>[0] | null,
    options: FirstStepOptions & { readonly loss?: number },
  ): Promise<Finished | { readonly first: FirstStepResult; readonly loss: number }> {
    const facts = this.addLast(grads, options);
    const maySkip = optionsOf(this.made.base)['skipNonFinite'] === true;
    return await this.takeStep(options, [['step', 'firstStep'], ...facts], async (sums, gradScale) => {
      const { grads, nonFiniteRanks, loss } = sums;
      const mean = this.assemble(grads);
      await this.#reserve(grads.flatMap((grad, i) => (grad === null ? [] : [i])));
      return () => {
        const first = letStep(this.made, () => this.made.optimizer.firstStep(mean, { gradScale }));
        const isNamed = maySkip && !Number.isFinite(first.gradNorm);
        return {
          first: { ...first, ...(isNamed ? { nonFiniteRanks } : {}), ...endOf(sums) },
          loss,
        };
      };
    });
  }

  /** Makes the memory for the climb of some params. The first time it may fail, so the ranks agree then. */
  async #reserve(params: readonly number[]): Promise<void> {
    const missing = params.filter((i) => !this.#reserved.has(i));
    if (missing.length === 0) return;
    this.#sam.reserve(missing);
    await this.made.world.barrier();
    for (const i of missing) this.#reserved.add(i);
  }

  #checkAtRest(): void {
    this.checkNotPending();
    if (this.#sam.hasClimbed) throw typeError(who, 'this', 'params that have climbed', 'secondStep(grads) first');
  }
}
