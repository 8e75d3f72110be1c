export { patch, type TensorFlow, unpatch } from './patch.js';
export * from './train/classes.js';
export * from './train/factories.js';
export * from './train/train-optimizer.js';
export * from './wrap/factories.js';
export * from './wrap/wrap.js';
export { type OptimizerClass, type WrapOptions, WrappedOptimizer } from './wrap/wrapped-optimizer.js';
