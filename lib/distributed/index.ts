export { RankError, TimeoutError } from './errors.js';
export { type InitOptions, init } from './init.js';
export type { CallOptions, ReduceOptions, RootOptions, SyncOptions, World } from './world.js';
