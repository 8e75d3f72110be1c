export { RankError, TimeoutError } from './errors.js';
export { type InitOptions, init } from './init.js';
export { type RunWorkersOptions, runWorkers } from './launch/run-workers.js';
export type { JobResult } from './launch/supervise.js';
export type { CallOptions, ReduceOptions, RootOptions, SyncOptions, World } from './world.js';
