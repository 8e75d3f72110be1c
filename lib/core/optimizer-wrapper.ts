import type { OptimizerMembers } from './any-optimizer.js';
import { heldParams, heldParamsOf } from './held-params.js';
import type { Tensor } from './params.js';
import { inspect } from './print.js';
import type { Schedule } from './schedule.js';

/**
 * Base class of what wraps an optimizer. It has the members that a wrapper hands on; a subclass adds its steps, hooks and
 * state.
 *
 * @typeParam O The class of the optimizer.
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export abstract class OptimizerWrapper<O extends OptimizerMembers<any, any, any>> {
  readonly #inner: O;

  protected constructor(inner: O) {
    this.#inner = inner;
  }

  /** The optimizer inside, for a subclass. */
  protected get inner(): O {
    return this.#inner;
  }

  /** Param groups of the optimizer inside. */
  get paramGroups(): O['paramGroups'] {
    return this.#inner.paramGroups;
  }

  /** Learning rate of the optimizer inside. Assigning it sets the rate of all groups. */
  get lr(): number {
    return this.#inner.lr;
  }

  set lr(value: number | Schedule) {
    this.#inner.lr = value;
  }

  /** Applied steps of the optimizer inside. */
  get stepCount(): number {
    return this.#inner.stepCount;
  }

  /** Skipped steps of the optimizer inside. */
  get skippedSteps(): number {
    return this.#inner.skippedSteps;
  }

  /** Moving averages of the params, kept by the optimizer inside. @throws as the optimizer does */
  get emaParams(): O['emaParams'] {
    return this.#inner.emaParams;
  }

  /** Adds a param group to the optimizer inside. @throws as the optimizer does */
  addParamGroup(group: Parameters<O['addParamGroup']>[0]): void {
    this.#inner.addParamGroup(group);
  }

  /** Disposes of the optimizer inside. */
  dispose(): void {
    this.#inner.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** For `saveCheckpoint`. @internal */
  get [heldParams](): readonly Tensor[] {
    return heldParamsOf(this.#inner);
  }

  /** The class, its options, and the optimizer inside. */
  toString(): string {
    this.#inner.stepCount; // throws after `dispose`
    return this[inspect]();
  }

  /** What console.log prints. It does not throw after `dispose`. @internal */
  abstract [inspect](): string;
}
