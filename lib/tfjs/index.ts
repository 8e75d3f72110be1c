export { patch, type TensorFlow, unpatch } from './patch.js';
export {
  AdadeltaOptimizer,
  AdagradOptimizer,
  AdamaxOptimizer,
  AdamOptimizer,
  MomentumOptimizer,
  RMSPropOptimizer,
  SGDOptimizer,
} from './train/classes.js';
export * from './train/factories.js';
export { TrainOptimizer, type TrainOptions } from './train/train-optimizer.js';
export * from './wrap/factories.js';
export * from './wrap/wrap.js';
export { type OptimizerClass, type WrapOptions, WrappedOptimizer } from './wrap/wrapped-optimizer.js';
