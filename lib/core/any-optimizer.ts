import type { Scalar } from './declaration.js';
import type { Arrays } from './params.js';
import type { AnyParams, ArraysOf, GradsOf } from './params-of.js';
import type { Schedule } from './schedule.js';
import type { LoadOptions } from './state-dict.js';
import type { StepAsyncOptions, StepOptions, StepResult } from './stepper.js';

/**
 * What an optimizer has beside its steps: the classes, and each wrapper around one.
 *
 * @typeParam P The type of the params, which gives that of gradients and averages.
 * @typeParam G The type of the gradients. A constraint says `any`, because TypeScript before 5.5 does not end if it infers
 *   P through G and A.
 * @typeParam A The type of the averages.
 */
export interface OptimizerMembers<P = AnyParams, G = GradsOf<P>, A = ArraysOf<P> | Arrays> {
  /** Param groups. Reading a hyper-parameter gives what was set; assigning one checks it. */
  // biome-ignore lint/suspicious/noExplicitAny: the options depend on the class
  readonly paramGroups: readonly ({ readonly params: any; lr: Scalar | undefined } & Record<string, any>)[];
  /** The learning rate that group 0 uses in the next step. Assigning it sets the rate of all groups. */
  get lr(): number;
  set lr(value: number | Schedule);
  /** Number of applied steps. */
  readonly stepCount: number;
  /** Number of steps that `skipNonFinite` skipped. */
  readonly skippedSteps: number;
  /** Moving averages of the params, in their structure. Undefined without the option `ema`. */
  readonly emaParams: A | undefined;
  /** Calls a function before each step, until the function that it returns is called. */
  registerStepPreHook(hook: (optimizer: this, grads: G) => void): () => void;
  /** Calls a function after each step, until the function that it returns is called. */
  registerStepPostHook(hook: (optimizer: this, result: StepResult) => void): () => void;
  /** Adds a param group. */
  // biome-ignore lint/suspicious/noExplicitAny: the options depend on the class
  addParamGroup(group: any): void;
  /** A copy of everything that a resumed run needs, except the params. Its form is that of the class. */
  // biome-ignore lint/suspicious/noExplicitAny: the form depends on the class
  stateDict(): any;
  /** Loads a state that {@link stateDict} returned, all or nothing. */
  // biome-ignore lint/suspicious/noExplicitAny: the form depends on the class
  loadStateDict(dict: any, options?: LoadOptions): void;
  /** Releases the state. Calling it twice is allowed. */
  dispose(): void;
  [Symbol.dispose](): void;
  toString(): string;
}

/**
 * What every first-order optimizer has: the classes, and `Lookahead` around one.
 *
 * @typeParam P The type of the params, which gives that of gradients and averages.
 * @typeParam G The type of the gradients. A constraint says `any`, because TypeScript before 5.5 does not end if it infers
 *   P through G and A.
 * @typeParam A The type of the averages.
 */
export interface AnyOptimizer<P = AnyParams, G = GradsOf<P>, A = ArraysOf<P> | Arrays>
  extends OptimizerMembers<P, G, A> {
  /** Updates the params in place. */
  step(grads: G, options?: StepOptions): StepResult;
  /** Updates the params on another thread. */
  stepAsync(grads: G, options?: StepAsyncOptions): Promise<StepResult>;
}
