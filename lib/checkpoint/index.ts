export type { TypedArray } from '../check/typed-array.js';
export {
  type CheckpointInfo,
  inspectCheckpoint,
  type LoadCheckpointOptions,
  loadCheckpoint,
  type SaveCheckpointOptions,
  saveCheckpoint,
} from './checkpoint.js';
export { CheckpointError, type CheckpointProblem } from './errors.js';
export type { TensorInfo } from './header.js';
export {
  CheckpointManager,
  type CheckpointManagerOptions,
  type ManagerLoadOptions,
  type ManagerMetadata,
} from './manager.js';
export {
  type ReadSafetensorsOptions,
  type ReadTensor,
  readSafetensors,
  type SafetensorsFile,
  type WritableTensor,
  type WritableTensors,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from './safetensors.js';
export type { CheckpointParams, Stateful } from './snapshot.js';
export type { CheckpointWorld } from './world.js';
