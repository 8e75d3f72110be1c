export * from './more.js';
export { patch, type TensorFlow, unpatch } from './patch.js';
export * from './train.js';
export { type OptimizerClass, type WrapOptions, WrappedOptimizer, wrap } from './wrap.js';
