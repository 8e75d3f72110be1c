export { DownpourWorker, type DownpourWorkerOptions } from './downpour/downpour-worker.js';
export {
  ParameterServer,
  type ParameterServerOptions,
  type ParameterServerStatistics,
} from './downpour/parameter-server.js';
export { RankError, TimeoutError } from './errors.js';
export { type Hogwild, hogwild } from './hogwild.js';
export { type RunWorkersOptions, runWorkers } from './launch/run-workers.js';
export type { JobResult } from './launch/supervise.js';
export { DataParallel } from './optimizers/data-parallel.js';
export type {
  ClosureOptions,
  DataParallelSAM,
  FirstStepOptions,
  FirstStepResult,
} from './optimizers/data-parallel-sam.js';
export type {
  DistributedOptimizer,
  DistributedStepOptions,
  MicroBatchOptions,
} from './optimizers/distributed-optimizer.js';
export type { DistributionOptions } from './optimizers/distribution.js';
export { type ShardableClass, ShardedOptimizer } from './optimizers/sharded-optimizer.js';
export type { DistributedResult } from './optimizers/step-result.js';
export { SandblasterLBFGS, type SandblasterOptions } from './sandblaster/sandblaster-lbfgs.js';
export { type ShardBatchesOptions, shardBatches } from './shard-batches.js';
export { type EpochOptions, type Seat, shardIndices } from './shard-indices.js';
export { type InitOptions, init } from './world/init.js';
export type { CallOptions, ReduceOptions, RootOptions, SyncOptions, World } from './world/world.js';
