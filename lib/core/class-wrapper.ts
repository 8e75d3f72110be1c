import type { AnyOptimizer } from './any-optimizer.js';
import { checkHook } from './hooks.js';
import { notAnOptimizer } from './internals.js';
import { Optimizer } from './optimizer.js';
import { OptimizerWrapper } from './optimizer-wrapper.js';
import type { StepResult } from './stepper.js';

/**
 * Base class of what wraps an optimizer of one of the classes in the same process.
 *
 * @typeParam O The class of the optimizer.
 */
// biome-ignore lint/suspicious/noExplicitAny: see AnyOptimizer
export abstract class ClassWrapper<O extends AnyOptimizer<any, any, any>> extends OptimizerWrapper<O> {
  readonly #who: string;

  /** @param who The wrapper, for errors. @throws TypeError if it is not an optimizer */
  protected constructor(who: string, optimizer: O) {
    super(optimizer);
    if (!((optimizer as unknown) instanceof Optimizer)) throw notAnOptimizer(who, optimizer);
    this.#who = who;
  }

  /** The optimizer inside. */
  get optimizer(): O {
    return this.inner;
  }

  /**
   * Calls a function before each step of the optimizer inside, as its `registerStepPreHook` does, with this wrapper.
   *
   * @returns A function that removes the hook.
   * @throws TypeError if it is not a function
   */
  registerStepPreHook(hook: (optimizer: this, grads: Parameters<O['step']>[0]) => void): () => void {
    checkHook(`${this.#who}.registerStepPreHook`, hook);
    return this.inner.registerStepPreHook((_, grads) => hook(this, grads));
  }

  /**
   * Calls a function after each step of the optimizer inside, as its `registerStepPostHook` does, with this wrapper.
   *
   * @returns A function that removes the hook.
   * @throws TypeError if it is not a function
   */
  registerStepPostHook(hook: (optimizer: this, result: StepResult) => void): () => void {
    checkHook(`${this.#who}.registerStepPostHook`, hook);
    return this.inner.registerStepPostHook((_, result) => hook(this, result));
  }
}
