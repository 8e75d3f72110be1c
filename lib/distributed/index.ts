export { DataParallel } from './data-parallel.js';
export type { ClosureOptions, DataParallelSAM, FirstStepOptions, FirstStepResult } from './data-parallel-sam.js';
export type { DistributedOptimizer, DistributedStepOptions, MicroBatchOptions } from './distributed-optimizer.js';
export type { DistributionOptions } from './distribution.js';
export { DownpourWorker, type DownpourWorkerOptions } from './downpour/downpour-worker.js';
export {
  ParameterServer,
  type ParameterServerOptions,
  type ParameterServerStatistics,
} from './downpour/parameter-server.js';
export { RankError, TimeoutError } from './errors.js';
export { type Hogwild, hogwild } from './hogwild.js';
export { type InitOptions, init } from './init.js';
export { type RunWorkersOptions, runWorkers } from './launch/run-workers.js';
export type { JobResult } from './launch/supervise.js';
export { SandblasterLBFGS, type SandblasterOptions } from './sandblaster/sandblaster-lbfgs.js';
export { type ShardBatchesOptions, shardBatches } from './shard-batches.js';
export { type EpochOptions, type Seat, shardIndices } from './shard-indices.js';
export { type ShardableClass, ShardedOptimizer } from './sharded-optimizer.js';
export type { DistributedResult } from './step-result.js';
export type { CallOptions, ReduceOptions, RootOptions, SyncOptions, World } from './world.js';
