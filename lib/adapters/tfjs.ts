export * from './tfjs/more.js';
export { patch, type TensorFlow, unpatch } from './tfjs/patch.js';
export * from './tfjs/train.js';
export { type OptimizerClass, type WrapOptions, WrappedOptimizer, wrap } from './tfjs/wrap.js';
