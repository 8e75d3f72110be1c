import type { AnyOptimizer } from './core/any-optimizer.js';
import { Optimizer as Base } from './core/optimizer.js';
import type { AnyParams } from './core/params-of.js';

export * from './checkpoint/index.js';
export type { Scalar } from './core/declaration.js';
export type { ParamGroup } from './core/param-group.js';
export type { Arrays, Grad, Grads, GroupOf, Param, Params, ParamTree, SparseGrad } from './core/params.js';
export type { ArraysOf, GradsOf } from './core/params-of.js';
export type { Schedule } from './core/schedule.js';
export type { GroupState, LoadOptions, ParamStateDict as ParamState, StateDict } from './core/state-dict.js';
export type {
  LossStepAsyncOptions,
  LossStepOptions,
  StepAsyncOptions,
  StepOptions,
  StepResult,
} from './core/stepper.js';
export { allocate, type Backend, backend, setThreads } from './engine/backend.js';
export type { Isa } from './engine/engine.js';
export * from './ensembles/index.js';
export * from './optimizers/index.js';
export * from './schedules/index.js';
export * from './second-order/index.js';
export * from './training/index.js';

/** An optimizer of any first-order class, or a `Lookahead` around one. @typeParam P The type of the params. */
export type Optimizer<P = AnyParams> = AnyOptimizer<P>;
/** Base class of all first-order optimizers, for `instanceof`. */
export const Optimizer: typeof Base = Base;
