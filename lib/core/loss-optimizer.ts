import { rangeError } from '../check/errors.js';
import type { Declaration } from './declaration.js';
import { Optimizer } from './optimizer.js';
import type { AnyParams, GradsOf } from './params-of.js';
import type { LossStepAsyncOptions, LossStepOptions, StepResult } from './stepper.js';

/**
 * Base class of the optimizers whose steps need the loss. Their declaration has `needsLoss`.
 *
 * @typeParam D The type of the declaration.
 * @typeParam P The type of the params, which gives that of gradients and averages.
 */
export abstract class LossOptimizer<D extends Declaration = Declaration, P = AnyParams> extends Optimizer<D, P> {
  /** Steps need the loss. */
  static readonly needsLoss: boolean = true;

  /**
   * As the step of every optimizer. It also needs the loss.
   *
   * @param options `loss`: the loss at the params, whose gradient is `grads` after `gradScale`. `gradScale` as in every
   *   optimizer.
   * @throws as the step of every optimizer; TypeError for a loss that is missing or not a number; RangeError for NaN or an
   *   infinite one, unless `skipNonFinite` skips the step. Nothing has changed then.
   */
  override step(grads: GradsOf<P>, options: LossStepOptions): StepResult {
    return super.step(grads, options);
  }

  /**
   * As the `stepAsync` of every optimizer. It also needs the loss, which is read at the call.
   *
   * @param options `loss` as for {@link step}; `gradScale` and `signal` as in every optimizer.
   * @throws (rejects) as `stepAsync` of every optimizer, and for a loss as {@link step}
   */
  override async stepAsync(grads: GradsOf<P>, options: LossStepAsyncOptions): Promise<StepResult> {
    return super.stepAsync(grads, options);
  }

  /** What the step minimizes: the loss, or with `maximize` its negative. @throws RangeError for groups that differ in it */
  protected objective(groups: readonly { readonly maximize: boolean }[], loss: number): number {
    const { maximize } = groups[0]!;
    const other = groups.findIndex((group) => group.maximize !== maximize);
    if (other > 0)
      throw rangeError(
        (this.constructor as unknown as { readonly optimizerName: string }).optimizerName,
        `paramGroups[${other}].maximize`,
        String(!maximize),
        `${maximize}, as in paramGroups[0]`,
        'there is one loss',
      );
    return maximize ? -loss : loss;
  }
}
