export { allocate, type Backend, backend, setThreads } from './core/backend.js';
export type { Scalar } from './core/declaration.js';
export type { Isa } from './core/engine.js';
export { Optimizer, type ParamState, type StateDict, type StepOptions, type StepResult } from './core/optimizer.js';
export type { ParamGroup } from './core/param-group.js';
export type { Arrays, Grad, Grads, GroupOf, Param, Params, ParamTree, SparseGrad } from './core/params.js';
export type { Schedule } from './core/schedule.js';
export * from './optimizers/index.js';
export * from './schedules/index.js';
